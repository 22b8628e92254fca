"""Nobody is answered without a token that is good, and a cookie is good for our own pages alone."""

from __future__ import annotations

import time
from http.cookies import SimpleCookie
from pathlib import Path

import pytest

from makeway.server.office import Settings
from makeway.wire.tokens import Caller, Scope
from tests.server.site import JOB, PATIENCE_S, Site, assert_problem, site_in


@pytest.mark.parametrize(
    "path", ["/jobs", "/nodes", "/shares", "/events", "/policy", "/status", "/metrics", "/tokens"]
)
def test_without_a_token_nothing_is_told(site: Site, path: str) -> None:
    answer = site.nobody.get(path)
    assert_problem(answer, 401, "not-signed-in", "token")
    assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("header", ["Bearer wrong", "Bearer ", "Basic YTpi", "wrong"])
def test_what_is_no_token_of_ours_is_refused(site: Site, header: str) -> None:
    assert_problem(site.nobody.get("/jobs", Authorization=header), 401, "not-signed-in")


def test_who_is_refused_hears_so_though_their_body_is_large(site: Site) -> None:
    body = {"name": "x" * 900_000}
    assert_problem(site.nobody.post("/jobs", body), 401, "not-signed-in")


def test_where_tokens_are_off_whoever_comes_is_the_one_that_is_named(tmp_path: Path) -> None:
    guest = Caller(user="guest", scopes=frozenset({Scope.READ}))
    with site_in(tmp_path / ".makeway", Settings(anonymous=guest)) as site:
        assert site.nobody.get("/status").json["user"] == "guest"
        assert_problem(site.nobody.post("/jobs", JOB), 403, "not-allowed")
        assert site.ada.get("/status").json["user"] == "ada"
        assert site.nobody.get("/jobs", Authorization="Bearer wrong").status == 401


def test_a_token_in_a_url_is_not_looked_at(site: Site) -> None:
    assert site.nobody.get(f"/jobs?token={site.ada.token}").status == 401


def test_a_token_that_was_revoked_is_worth_nothing_at_once(site: Site) -> None:
    made = site.root.post("/tokens", {"user": "carl"})
    assert made.status == 201
    carl = site.nobody
    headers = {"Authorization": f"Bearer {made.json['token']}"}
    assert carl.ask("GET", "/jobs", headers=headers).status == 200
    assert site.root.ask("DELETE", f"/tokens/{made.json['view']['id']}").status == 200
    assert_problem(carl.ask("GET", "/jobs", headers=headers), 401, "not-signed-in")


def test_a_token_lasts_as_long_as_was_said(site: Site) -> None:
    short = site.person("fred", lasts="100ms")
    until_s = time.monotonic() + PATIENCE_S
    while short.get("/jobs").status == 200:
        assert time.monotonic() < until_s
    assert_problem(short.get("/jobs"), 401, "not-signed-in")


def test_a_secret_is_shown_when_it_is_made_and_never_again(site: Site) -> None:
    made = site.root.post("/tokens", {"user": "dora", "name": "laptop", "scopes": ["read"]})
    assert made.headers["cache-control"] == "no-store"
    secret = made.json["token"].encode()
    listed = site.root.get("/tokens?limit=1000")
    assert made.json["view"]["id"] in [token["id"] for token in listed.items]
    assert secret not in listed.body


@pytest.mark.parametrize(
    "body, word",
    [({"user": "x", "scopes": ["rule"]}, "scopes"), ({}, "user"), ({"user": "x", "a": 1}, "a")],
)
def test_a_token_that_cannot_be_made_says_why(site: Site, body: object, word: str) -> None:
    assert_problem(site.root.post("/tokens", body), 422, "bad-input", word)


def test_only_administrators_make_tokens_for_others(site: Site) -> None:
    assert_problem(site.ada.post("/tokens", {"user": "bob"}), 403, "not-allowed")


def test_a_page_signs_in_with_a_cookie_that_scripts_cannot_read(site: Site) -> None:
    answer = site.nobody.post("/session", {"token": site.ada.token})
    assert answer.status == 204
    cookie = SimpleCookie(answer.headers["set-cookie"])["makeway_token"]
    assert cookie["httponly"]
    assert cookie["samesite"].lower() == "strict"
    assert site.nobody.get("/jobs", Cookie=f"makeway_token={cookie.value}").status == 200
    gone = site.nobody.ask("DELETE", "/session")
    assert SimpleCookie(gone.headers["set-cookie"])["makeway_token"]["max-age"] == "0"


def test_nobody_signs_in_with_a_token_that_is_none(site: Site) -> None:
    answer = site.nobody.post("/session", {"token": "wrong"})
    assert_problem(answer, 401, "not-signed-in")
    assert "set-cookie" not in answer.headers


def test_a_cookie_changes_something_only_from_a_page_of_ours(site: Site) -> None:
    cookie = f"makeway_token={site.ada.token}"
    assert_problem(site.nobody.post("/jobs", JOB, Cookie=cookie), 403, "wrong-origin", "Origin")
    foreign = site.nobody.post("/jobs", JOB, Cookie=cookie, Origin="http://evil.example")
    assert_problem(foreign, 403, "wrong-origin")
    ours = f"http://127.0.0.1:{site.running.port}"
    assert site.nobody.post("/jobs", JOB, Cookie=cookie, Origin=ours).status == 201


def test_who_may_not_operate_drains_no_node(site: Site) -> None:
    assert_problem(site.ada.post("/nodes/n2:drain"), 403, "not-allowed", "operate")
    operator = site.person("olga", Scope.READ, Scope.OPERATE)
    assert operator.post("/nodes/n2:drain").json["state"] in {"draining", "drained"}
    assert operator.post("/nodes/n2:undrain").json["state"] == "ready"
