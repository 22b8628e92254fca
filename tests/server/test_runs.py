"""Runs that are brought over HTTP: nobody but this check stands between them and the engine."""

from __future__ import annotations

from typing import Any

import pytest

from makeway.wire.tokens import Scope
from tests.server.site import Site, assert_problem

# Nobody has so many processors, so nothing of it ever starts here.
LARGE = {"amounts": {"cpu_milli": 3_000}}


def step(key: str, **more: object) -> dict[str, object]:
    return {"key": key, "function": "work", "per_worker": LARGE, "workers": 2, **more}


def body(*steps: dict[str, object], **more: object) -> dict[str, Any]:
    workflow = {"name": "flow", "file": "/nowhere/flow.py", "steps": steps or (step("one"),)}
    return {"workflow": {**workflow, **more}}


SELECT = {"candidates": ["one"], "metric": "accuracy", "k": 1}
WAITS = {"x": {"type": "step", "step": "two"}}


def test_a_run_is_brought_and_stopped_by_who_owns_it(site: Site) -> None:
    made = site.ada.post("/runs", body())
    assert made.status == 201, made.body
    assert (made.json["user"], made.json["queue"], made.json["phase"]) == ("ada", "ada", "running")
    run = made.json["id"]
    eve = site.person("eve")
    assert_problem(eve.post(f"/runs/{run}:cancel"), 403, "not-allowed", run)
    stopped = site.ada.post(f"/runs/{run}:cancel")
    assert (stopped.status, stopped.json["phase"]) == (200, "cancelling")
    site.service.wait_for(site.service.wait_for(0, 1), 0.2)
    assert_problem(site.ada.post(f"/runs/{run}:cancel"), 409, "conflict", run)
    assert_problem(site.ada.post("/runs/none:cancel"), 404, "not-found", "none")


@pytest.mark.parametrize(
    "wrong, word",
    [
        (body(steps=[]), "no steps"),
        (body(step("one"), step("one")), "one"),
        (body(step("one", arguments=WAITS), step("two", after=["one"])), "wait for each other"),
        (body(step("one", arguments=WAITS)), "two"),
        (body(step("../../etc")), "../../etc"),
        (body(step("one", workers=0)), "workers"),
        (body(step("one", retries=-1)), "retries"),
        (body(step("one", per_worker={"amounts": {"cpu_milli": -1}})), "less than nothing"),
        (body(step("one"), step("best", select={**SELECT, "k": 0})), "selects nothing"),
        (
            body(
                step("one"),
                step("two", arguments={"x": {"type": "slot", "step": "one", "slot": 0}}),
            ),
            "place 0",
        ),
        (body(step("one"), result={"type": "step", "step": "gone"}), "gone"),
        ({**body(), "class": "vip"}, "vip"),
        ({**body(), "quue": "x"}, "quue"),
        ({}, "workflow"),
    ],
)
def test_a_graph_that_nobody_could_run_is_refused_and_the_service_goes_on(
    site: Site, wrong: dict[str, object], word: str
) -> None:
    assert_problem(site.ada.post("/runs", wrong), 422, "bad-input", word)
    assert site.ada.get("/status").status == 200


def test_neither_another_queue_nor_a_class_of_administrators_is_had_by_a_run(site: Site) -> None:
    assert_problem(site.ada.post("/runs", {**body(), "queue": "eve"}), 403, "not-allowed", "eve")
    sly = body(step("one", priority=1_000))
    assert_problem(site.ada.post("/runs", sly), 403, "not-allowed", "administrators")
    reader = site.person("rea", Scope.READ)
    assert_problem(reader.post("/runs", body()), 403, "not-allowed", "submit")


def test_a_run_that_is_to_be_resumed_must_be_there(site: Site) -> None:
    assert_problem(site.ada.post("/runs", {**body(), "resumes": "none"}), 404, "not-found", "none")
