"""Submit, list, look at and act on jobs."""

from __future__ import annotations

import threading

import pytest

from makeway.wire.tokens import Scope
from tests.server.site import JOB, Answer, Site, assert_problem, names, said


def test_a_job_that_is_submitted_can_be_looked_at_where_the_answer_says(site: Site) -> None:
    answer = site.ada.post("/jobs", {**JOB, "name": "where"})
    assert answer.status == 201
    assert answer.json["user"] == "ada"
    found = site.ada.get(answer.headers["location"].removeprefix("/api/v1"))
    assert found.status == 200
    assert (found.json["id"], found.json["phase"]) == (answer.json["id"], "queued")
    assert site.ada.get("/jobs/where").json["id"] == answer.json["id"]


def test_the_same_key_gives_the_same_job_however_often_it_is_sent(site: Site) -> None:
    first = site.ada.post("/jobs", JOB, Idempotency_Key="once")
    again = site.ada.post("/jobs", JOB, Idempotency_Key="once")
    assert first.json["id"] == again.json["id"]
    other = site.ada.post("/jobs", {**JOB, "name": "other"}, Idempotency_Key="once")
    assert_problem(other, 409, "conflict", "key")


@pytest.mark.parametrize("key", ["", "x" * 201, "a\tb"])
def test_a_key_that_is_none_is_refused(site: Site, key: str) -> None:
    assert_problem(site.ada.post("/jobs", JOB, Idempotency_Key=key), 422, "bad-input", "Key")


def test_many_clients_with_one_key_at_once_bring_one_job(site: Site) -> None:
    answers: list[Answer] = []

    def bring() -> None:
        answers.append(site.ada.post("/jobs", JOB, Idempotency_Key="crowd"))

    threads = [threading.Thread(target=bring) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answer.status for answer in answers] == [201] * 8
    assert len({answer.json["id"] for answer in answers}) == 1


def test_eight_clients_that_submit_at_once_lose_nothing(site: Site) -> None:
    user = site.person("crowd")
    made: list[str] = []

    def bring() -> None:
        connection = user.connection()
        answers = [said(connection, "POST", "/jobs", JOB, user.signed()) for _ in range(10)]
        made.extend(answer.json["id"] for answer in answers)
        connection.close()

    threads = [threading.Thread(target=bring) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    listed = [job["id"] for job in site.ada.get("/jobs?user=crowd&limit=1000").items]
    assert len(made) == 80
    assert sorted(listed) == sorted(made)


def test_a_dry_run_says_what_would_become_of_a_job_and_brings_none(site: Site) -> None:
    user = site.person("dry")
    answer = user.post("/jobs?dry_run=true", {"name": "would", "command": ["true"]})
    assert answer.status == 200
    assert answer.json["job"]["name"] == "would"
    assert user.get("/jobs?user=dry").items == []


def test_a_job_that_never_fits_is_refused_with_a_code_of_its_own(site: Site) -> None:
    huge = {**JOB, "hold": False, "per_worker": {"cpus": 1_000}}
    assert_problem(site.ada.post("/jobs", huge), 422, "never-fits")


def test_a_key_of_the_job_file_that_is_unknown_is_named(site: Site) -> None:
    assert_problem(site.ada.post("/jobs", {**JOB, "wrokers": 2}), 422, "bad-input", "wrokers")


def test_a_queue_of_somebody_else_is_refused(site: Site) -> None:
    answer = site.ada.post("/jobs", {**JOB, "queue": "lab/bob"})
    assert_problem(answer, 403, "not-allowed", "lab/bob")


def test_a_list_is_read_page_by_page_without_gaps(site: Site) -> None:
    user = site.person("pages")
    made = [user.submit(name=f"page-{number}")["name"] for number in range(5)]
    seen, path = [], "/jobs?user=pages&limit=2"
    while True:
        page = user.get(path).json
        assert len(page["items"]) <= 2
        seen += names(page["items"])
        if page["next_cursor"] is None:
            break
        path = f"/jobs?user=pages&limit=2&cursor={page['next_cursor']}"
    assert seen == made[::-1]


def test_filters_are_all_applied(site: Site) -> None:
    user = site.person("filters")
    kept = user.submit(name="kept")
    gone = user.submit(name="gone")
    assert user.post(f"/jobs/{gone['id']}:cancel").status == 200
    assert names(user.get("/jobs?user=filters&state=queued").items) == ["kept"]
    assert names(user.get("/jobs?user=filters&state=cancelled,failed").items) == ["gone"]
    assert names(user.get(f"/jobs?user=filters&queue={kept['queue']}").items) == ["gone", "kept"]
    assert user.get("/jobs?user=filters&queue=elsewhere").items == []


@pytest.mark.parametrize(
    "query", ["cursor=nonsense", "limit=0", "limit=1001", "limit=x", "state=x"]
)
def test_a_parameter_that_makes_no_sense_is_refused_and_named(site: Site, query: str) -> None:
    name = query.partition("=")[0]
    assert_problem(site.ada.get(f"/jobs?{query}"), 422, "bad-input", name)


def test_a_parameter_that_nobody_knows_is_refused(site: Site) -> None:
    assert_problem(site.ada.get("/jobs?usr=ada"), 422, "bad-input", "usr", "user")


@pytest.mark.parametrize(
    "path", ["/jobs/nothing", "/jobs/nothing/why", "/jobs/nothing/logs", "/jobs/%00", "/jobs/%C3"]
)
def test_a_job_that_is_not_there_is_not_found(site: Site, path: str) -> None:
    assert_problem(site.ada.get(path), 404, "not-found")


def test_acts_change_the_job_and_give_it_as_it_is_then(site: Site) -> None:
    job = site.ada.submit(workers={"min": 1, "max": 2})["id"]
    assert site.ada.get(f"/jobs/{job}").json["held"]
    resized = site.ada.post(f"/jobs/{job}:resize", {"min": 1, "max": 3})
    assert resized.status == 200, resized.body
    assert resized.json["groups"][0]["max"] == 3
    assert site.ada.post(f"/jobs/{job}:cancel").json["phase"] == "cancelled"
    assert_problem(site.ada.post(f"/jobs/{job}:cancel"), 409, "conflict", "cancelled")


def test_a_job_of_somebody_else_is_looked_at_but_not_touched(site: Site) -> None:
    job, bob = site.ada.submit()["id"], site.person("bob")
    assert bob.get(f"/jobs/{job}").status == 200
    assert_problem(bob.post(f"/jobs/{job}:cancel"), 403, "not-allowed", "ada")
    operator = site.person("olga", Scope.READ, Scope.SUBMIT, Scope.OPERATE)
    assert operator.post(f"/jobs/{job}:cancel").status == 200


def test_who_may_only_read_submits_nothing(site: Site) -> None:
    reader = site.person("rita", Scope.READ)
    assert_problem(reader.post("/jobs", JOB), 403, "not-allowed", "submit")


@pytest.mark.parametrize("path", ["/jobs", "/jobs/{}", "/jobs/{}/why", "/jobs/{}/logs", "/events"])
def test_who_may_not_read_is_told_nothing(site: Site, path: str) -> None:
    job, writer = site.ada.submit()["id"], site.person("will", Scope.SUBMIT)
    assert_problem(writer.get(path.format(job)), 403, "not-allowed", "read")


def test_why_says_that_it_is_held(site: Site) -> None:
    job = site.ada.submit()["id"]
    answer = site.ada.get(f"/jobs/{job}/why").json
    assert answer["wait"]["reason"] == "Held"
    assert answer["chain"]


def test_what_has_not_changed_is_not_sent_again(site: Site) -> None:
    job = site.ada.submit()["id"]
    first = site.ada.get(f"/jobs/{job}")
    again = site.ada.get(f"/jobs/{job}", If_None_Match=first.headers["etag"])
    assert (again.status, again.body) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]
    site.ada.post(f"/jobs/{job}:cancel")
    assert site.ada.get(f"/jobs/{job}", If_None_Match=first.headers["etag"]).status == 200
