"""Whatever is wrong with a request is told as a problem, and nothing is done."""

from __future__ import annotations

from pathlib import Path

import pytest

from makeway.server.office import Settings
from makeway.server.problems import PROBLEM_JSON
from tests.server.site import API, JOB, Answer, Site, assert_problem, said, site_in

LIMIT_BYTES = 1 << 20


@pytest.mark.parametrize("body", [b"", b"{", b"{'a': 1}", b"\xff\xfe", b"[" * 100_000])
def test_what_is_not_json_cannot_be_read(site: Site, body: bytes) -> None:
    assert_problem(site.ada.post("/jobs", body), 400, "bad-input", "body")


@pytest.mark.parametrize("body", [[], 7, "train", None])
def test_json_of_another_shape_is_refused(site: Site, body: object) -> None:
    text = b"null" if body is None else body
    assert_problem(site.ada.post("/jobs", text), 422, "bad-input", "body")


@pytest.mark.parametrize(
    "body, word",
    [
        ({"min": 1, "max": 2, "mxa": 3}, "mxa"),
        ({"min": 1}, "max"),
        ({"min": "1", "max": 2}, "body.min"),
    ],
)
def test_a_field_that_is_wrong_is_named(site: Site, body: object, word: str) -> None:
    job = site.ada.submit()["id"]
    assert_problem(site.ada.post(f"/jobs/{job}:resize", body), 422, "bad-input", word)


def test_a_body_that_says_that_it_is_too_large_is_refused(site: Site) -> None:
    assert_problem(site.ada.post("/jobs", b"x" * (LIMIT_BYTES + 1)), 413, "too-large")


def test_a_body_that_does_not_say_how_large_it_is_is_counted(site: Site) -> None:
    connection = site.ada.connection()
    headers = {**site.ada.signed(), "Content-Type": "application/json"}
    parts = (b"x" * 65_536 for _ in range(2 * LIMIT_BYTES // 65_536))
    connection.request("POST", f"{API}/jobs", parts, headers, encode_chunked=True)
    response = connection.getresponse()
    headers = {name.lower(): value for name, value in response.getheaders()}
    assert_problem(Answer(response.status, headers, response.read()), 413, "too-large")
    connection.close()


def test_a_body_is_refused_before_it_is_sent_if_its_sender_asks_first(site: Site) -> None:
    connection = site.ada.connection()
    connection.putrequest("POST", f"{API}/jobs")
    for name, value in site.ada.signed().items():
        connection.putheader(name, value)
    connection.putheader("Content-Length", str(LIMIT_BYTES * 100))
    connection.putheader("Expect", "100-continue")
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()


@pytest.mark.parametrize("sort", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_a_body_of_another_type_is_not_read(site: Site, sort: str) -> None:
    assert_problem(site.ada.post("/jobs", JOB, Content_Type=sort), 415, "wrong-type", "json")


@pytest.mark.parametrize("path", ["/nothing", "/jobs/a/b/c", "/../../etc/passwd", "/jobs/"])
def test_a_path_where_nothing_is_is_a_problem_too(site: Site, path: str) -> None:
    assert_problem(site.ada.get(path), 404, "not-found")


@pytest.mark.parametrize(
    "method, path", [("DELETE", "/jobs"), ("PATCH", "/policy"), ("POST", "/jobs/a:explode")]
)
def test_a_method_that_is_not_possible_says_which_are(site: Site, method: str, path: str) -> None:
    answer = site.ada.ask(method, path)
    assert_problem(answer, 405, "wrong-method", method, "GET")
    assert "GET" in answer.headers["allow"]


@pytest.mark.parametrize("host", ["evil.example", "evil.example:7070", "", "127.0.0.1@evil", "a b"])
def test_a_request_for_another_host_is_refused(site: Site, host: str) -> None:
    assert_problem(site.ada.get("/jobs", Host=host), 421, "wrong-host", "Host")


def test_a_request_without_a_host_is_refused(site: Site) -> None:
    connection = site.ada.connection()
    connection.putrequest("GET", f"{API}/jobs", skip_host=True)
    connection.endheaders()
    assert connection.getresponse().status == 421
    connection.close()


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1", "x"])
def test_a_page_of_another_site_is_refused(site: Site, origin: str) -> None:
    assert_problem(site.ada.get("/jobs", Origin=origin), 403, "wrong-origin", "Origin")


def test_names_and_pages_of_our_own_are_let_in(site: Site) -> None:
    port = site.running.port
    for host in (f"localhost:{port}", f"127.0.0.1:{port}", "LOCALHOST"):
        assert site.ada.get("/jobs", Host=host).status == 200, host
    origin = f"http://127.0.0.1:{port}"
    assert site.ada.get("/jobs", Origin=origin).status == 200


def test_a_page_that_is_allowed_may_ask_with_a_token_and_read_the_answer(tmp_path: Path) -> None:
    pages = "https://pages.example"
    with site_in(tmp_path / ".makeway", Settings(allowed_origins=(pages,))) as site:
        asked = {"Origin": pages, "Access-Control-Request-Method": "POST"}
        before = site.nobody.ask("OPTIONS", "/jobs", headers=asked)
        assert before.status == 200
        assert before.headers["access-control-allow-origin"] == pages
        answer = site.ada.get("/jobs", Origin=pages)
        assert answer.status == 200
        assert answer.headers["access-control-allow-origin"] == pages
        assert "access-control-allow-credentials" not in answer.headers
        assert_problem(site.ada.get("/jobs", Origin="https://other.example"), 403, "wrong-origin")


def test_a_name_that_is_allowed_is_a_host(tmp_path: Path) -> None:
    with site_in(tmp_path / ".makeway", Settings(allowed_hosts=("Makeway.Lab",))) as site:
        assert site.ada.get("/jobs", Host="makeway.lab:80").status == 200
        assert_problem(site.ada.get("/jobs", Host="other.lab"), 421, "wrong-host")


def test_every_answer_keeps_a_browser_from_guessing_and_framing(site: Site) -> None:
    for answer in (site.ada.get("/jobs"), site.nobody.get("/jobs"), site.nobody.get("/healthz")):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert "server" not in answer.headers


def test_a_connection_serves_on_after_a_request_that_was_wrong(site: Site) -> None:
    connection = site.ada.connection()
    for body in (b"{", JOB, b"[]", JOB):
        answer = said(connection, "POST", "/jobs", body, site.ada.signed())
        assert answer.status in {201, 400, 422}
    connection.close()


def test_who_goes_away_in_the_middle_is_no_mistake_of_ours(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    connection = site.ada.connection()
    connection.putrequest("POST", f"{API}/jobs")
    for name, value in {**site.ada.signed(), "Content-Type": "application/json"}.items():
        connection.putheader(name, value)
    connection.putheader("Content-Length", "1000")
    connection.endheaders(b"{")
    connection.close()
    for _ in range(3):  # by then it has been noticed
        assert site.ada.get("/jobs").status == 200
    assert not caplog.records


def test_our_own_mistake_is_told_without_its_inside(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(token: str) -> None:
        raise RuntimeError("the secret inside")

    monkeypatch.setattr(site.front.office, "verify", broken)
    answer = site.ada.get("/jobs")
    assert (answer.status, answer.headers["content-type"]) == (500, PROBLEM_JSON)
    assert answer.json["code"] == "internal"
    assert b"inside" not in answer.body
    assert site.ada.token is not None
    assert site.ada.token not in caplog.text
