"""Look at queues, machines, decisions and the policy, and change them."""

from __future__ import annotations

import pytest

from tests.server.site import Site, assert_problem


@pytest.mark.parametrize("name", ["shares", "queues"])
def test_queues_are_listed_page_by_page_and_by_path(site: Site, name: str) -> None:
    for user in ("qa", "qb", "qc"):
        site.person(user).submit()
    whole = [queue["path"] for queue in site.ada.get(f"/{name}?limit=1000").items]
    assert {"qa", "qb", "qc"} <= {*whole}
    page = site.ada.get(f"/{name}?limit=1").json
    seen = page["items"]
    while page["next_cursor"] is not None:
        page = site.ada.get(f"/{name}?limit=1&cursor={page['next_cursor']}").json
        seen += page["items"]
    assert [queue["path"] for queue in seen] == whole
    assert [queue["path"] for queue in site.ada.get(f"/{name}/qb").items] == ["qb"]
    assert_problem(site.ada.get(f"/{name}/nowhere/at/all"), 404, "not-found", "nowhere/at/all")


@pytest.mark.parametrize("cursor", ["x", "%C3", "bm93aGVyZQ", "=="])
def test_a_cursor_that_is_none_is_refused(site: Site, cursor: str) -> None:
    for path in ("/shares", "/nodes"):
        assert_problem(site.ada.get(f"{path}?cursor={cursor}"), 422, "bad-input", "cursor")


def test_machines_come_and_go(site: Site) -> None:
    assert [node["name"] for node in site.ada.get("/nodes").items] == ["n1", "n2"]
    new = site.root.post("/nodes", {"name": "n3", "cpus": 2, "memory": "1GiB"})
    assert (new.status, new.json["capacity"]["cpus"]) == (200, 2)
    assert site.root.post("/nodes/n3:drain", {"evict": True, "text": "a fan"}).status == 200
    drained = next(node for node in site.ada.get("/nodes").items if node["name"] == "n3")
    assert (drained["state"], drained["text"]) == ("drained", "a fan")
    assert site.root.ask("DELETE", "/nodes/n3").json["name"] == "n3"
    assert [node["name"] for node in site.ada.get("/nodes").items] == ["n1", "n2"]
    assert_problem(site.root.ask("DELETE", "/nodes/n3"), 404, "not-found", "n3")


@pytest.mark.parametrize(
    "body, word",
    [
        ({"name": "n9", "cpus": -1}, "cpus"),
        ({"name": "n9", "count": 2}, "count"),
        ({"cpus": 2}, "name"),
    ],
)
def test_a_machine_that_cannot_be_is_refused(site: Site, body: object, word: str) -> None:
    assert_problem(site.root.post("/nodes", body), 422, "bad-input", word)


def test_a_policy_is_checked_and_applied_as_it_was_read(site: Site) -> None:
    seen = site.ada.get("/policy")
    body = seen.json
    checked = site.ada.post("/policy:check", body)
    assert (checked.status, checked.json["applied"]) == (200, False)
    assert_problem(site.ada.ask("PUT", "/policy", body), 403, "not-allowed")
    assert site.root.ask("PUT", "/policy", body).status == 200


def test_a_policy_is_replaced_only_if_it_is_the_one_that_was_seen(site: Site) -> None:
    seen = site.root.get("/policy")
    mine = {"If-Match": seen.headers["etag"]}
    body = {"queues": [{"name": "seen", "weight": 3}]}
    first = site.root.ask("PUT", "/policy", body, mine)
    assert first.status == 200, first.body
    late = site.root.ask("PUT", "/policy", {"queues": [{"name": "late"}]}, mine)
    assert_problem(late, 412, "changed", "If-Match")
    paths = [queue["path"] for queue in site.ada.get("/shares?limit=1000").items]
    assert "seen" in paths
    assert "late" not in paths


def test_a_policy_that_makes_no_sense_is_refused_and_changes_nothing(site: Site) -> None:
    before = site.root.get("/policy").headers["etag"]
    wrong = site.root.ask("PUT", "/policy", {"queues": [{"name": "a", "weight": -1}]})
    assert_problem(wrong, 422, "bad-input", "weight")
    assert site.root.get("/policy").headers["etag"] == before


def test_decisions_are_listed(site: Site) -> None:
    answer = site.ada.get("/decisions")
    assert answer.status == 200
    assert answer.json["next_cursor"] is None
    assert_problem(site.ada.get("/decisions?cursor=x"), 422, "bad-input", "cursor")
    assert_problem(site.ada.get("/decisions?job=nothing"), 404, "not-found")
