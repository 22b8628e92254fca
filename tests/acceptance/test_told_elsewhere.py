"""What runs here is seen in a lineage server and in a tracing collector, by their own clients."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openlineage.client.generated.base import RunEvent
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.acceptance.service import Shop, opened
from tests.export.receiver import Receiver, receiving

FLOW = """
import makeway as mw

@mw.step(cpus=0.1)
def ingest(n: int) -> list[int]:
    return list(range(n))

@mw.step(cpus=0.1)
def train(data: list[int], lr: float) -> mw.Model:
    return mw.log_model({"lr": lr}, name="net", metrics={"accuracy": len(data) / 10})

@mw.step(cpus=0.1)
def report(model: mw.Model) -> int:
    return {}["missing"]

@mw.workflow
def flow(n: int = 5):
    return report(train(ingest(n), lr=0.1))
"""
# A run's beginning and end, and those of the attempts of its three steps.
EVENTS = 8


@pytest.fixture(scope="module")
def lineage() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def collector() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def shop(
    tmp_path_factory: pytest.TempPathFactory, lineage: Receiver, collector: Receiver
) -> Iterator[Shop]:
    """Have a service in which one run has ended, whose last step failed."""
    folder = tmp_path_factory.mktemp("told")
    (folder / "flow.py").write_text(FLOW, "utf-8")
    told = f'openlineage_url = "{lineage.url}/api/v1/lineage"\notlp_url = "{collector.url}"\n'
    (folder / "makeway.toml").write_text(f'[export]\n{told}namespace = "lab"\n', "utf-8")
    with opened(folder) as shop:
        shop.types("run", "flow.py", "--no-watch", expect=5)
        yield shop


def events(receiver: Receiver) -> dict[tuple[str, str], dict[str, Any]]:
    """Give what was told of each job at each turn."""
    found = [json.loads(body) for body in receiver.bodies(EVENTS)]
    return {(event["job"]["name"], event["eventType"]): event for event in found}


def spans(receiver: Receiver) -> dict[str, Span]:
    """Give the spans by their names, once that of the run is there."""
    count = 1
    while True:
        found: dict[str, Span] = {}
        for body in receiver.bodies(count):
            for group in ExportTraceServiceRequest.FromString(body).resource_spans:
                [service] = [one for one in group.resource.attributes if one.key == "service.name"]
                assert service.value.string_value == "lab"
                found |= {span.name: span for one in group.scope_spans for span in one.spans}
        if "flow" in found:
            return found
        count = len(receiver.taken) + 1


def about(span: Span) -> dict[str, str]:
    """Give what a span says in words."""
    return {one.key: one.value.string_value for one in span.attributes}


@pytest.mark.usefixtures("shop")
def test_each_attempt_begins_and_ends_once_for_a_lineage_server(lineage: Receiver) -> None:
    assert {*events(lineage)} == {
        ("flow", "START"), ("flow", "FAIL"),
        ("flow.ingest", "START"), ("flow.ingest", "COMPLETE"),
        ("flow.train", "START"), ("flow.train", "COMPLETE"),
        ("flow.report", "START"), ("flow.report", "FAIL"),
    }  # fmt: skip
    assert all(path == "/api/v1/lineage" for path, _, _ in lineage.taken)


@pytest.mark.usefixtures("shop")
def test_what_a_step_made_is_what_the_next_one_read(lineage: Receiver) -> None:
    told = events(lineage)
    model = told["flow.train", "COMPLETE"]
    assert model["job"]["facets"]["jobType"]["jobType"] == "MODEL"
    made = {one["name"]: one["facets"]["version"]["datasetVersion"] for one in model["outputs"]}
    read = {
        one["name"]: one["facets"]["version"]["datasetVersion"]
        for one in told["flow.report", "START"]["inputs"]
    }
    assert read.items() <= made.items()
    assert "net" in made
    assert model["run"]["facets"]["makeway_metrics"]["metrics"] == {"accuracy": 0.5}
    params = model["run"]["facets"]["executionParameters"]["parameters"]
    assert {"key": "lr", "name": "lr", "value": "0.1"} in params


@pytest.mark.usefixtures("shop")
def test_a_failure_is_told_with_its_cause_and_where_it_was(lineage: Receiver) -> None:
    failed = events(lineage)["flow.report", "FAIL"]["run"]["facets"]
    assert failed["makeway_diagnosis"]["cause"] == "CODE_ERROR"
    assert failed["makeway_diagnosis"]["decision"]
    assert "flow.py" in failed["errorMessage"]["stackTrace"]
    assert "KeyError" in failed["errorMessage"]["stackTrace"]


@pytest.mark.usefixtures("shop")
def test_the_attempts_name_the_run_as_their_parent(lineage: Receiver) -> None:
    told = events(lineage)
    run = told["flow", "START"]["run"]["runId"]
    assert told["flow", "FAIL"]["run"]["runId"] == run
    parent = told["flow.train", "START"]["run"]["facets"]["parent"]
    assert parent["run"]["runId"] == run
    assert parent["job"] == {"namespace": "lab", "name": "flow", "facets": {}}
    attempt = {told["flow.train", turn]["run"]["runId"] for turn in ("START", "COMPLETE")}
    assert len(attempt) == 1


@pytest.mark.usefixtures("shop")
def test_every_event_is_one_of_the_official_client(lineage: Receiver) -> None:
    for event in events(lineage).values():
        assert event["schemaURL"] == RunEvent._get_schema()
        assert {*event} <= {field.name for field in RunEvent.__attrs_attrs__}
        for facet in event["run"]["facets"].values():
            assert facet["_producer"].startswith("urn:makeway:")
            assert facet["_schemaURL"]


@pytest.mark.usefixtures("shop")
def test_a_collector_gets_the_run_its_steps_and_their_attempts_as_one_trace(
    collector: Receiver,
) -> None:
    told = spans(collector)
    run, step, attempt = told["flow"], told["train"], told["flow.train attempt 1"]
    assert attempt.parent_span_id == step.span_id
    assert step.parent_span_id == run.span_id
    assert not run.parent_span_id
    assert run.trace_id == step.trace_id == attempt.trace_id
    assert run.start_time_unix_nano <= step.start_time_unix_nano <= attempt.end_time_unix_nano
    assert about(run)["cicd.pipeline.result"] == "failure"
    assert about(step)["cicd.pipeline.task.run.result"] == "success"
    failed = told["flow.report attempt 1"]
    assert about(failed)["error.type"] == "CODE_ERROR"
    assert failed.status.code == failed.status.STATUS_CODE_ERROR


def test_a_receiver_that_was_away_is_told_what_it_missed_also_by_the_next_service(
    tmp_path: Path,
) -> None:
    with receiving() as away:
        away.status = 503
        (tmp_path / "makeway.toml").write_text(
            f'[export]\nopenlineage_url = "{away.url}/api/v1/lineage"\n', "utf-8"
        )
        with opened(tmp_path) as shop:
            shop.types("submit", "--name", "first", "--", "true")
            away.wait_until_asked(2)
        assert not away.taken
        away.status = 200
        with opened(tmp_path):
            told = [json.loads(body) for body in away.bodies(2)]
    assert [(one["job"]["name"], one["eventType"]) for one in told] == [
        ("first", "START"), ("first", "COMPLETE"),
    ]  # fmt: skip


def test_who_refuses_one_message_gets_the_others(tmp_path: Path) -> None:
    with receiving() as strict:
        strict.status = 400
        (tmp_path / "makeway.toml").write_text(f'[export]\notlp_url = "{strict.url}"\n', "utf-8")
        with opened(tmp_path) as shop:
            shop.types("wait", shop.submits("--name", "first", "--", "true"))
            strict.wait_until_asked(2)
            strict.status = 200
            shop.types("wait", shop.submits("--name", "second", "--", "true"))
            names = {
                span.name
                for body in strict.bodies(1)
                for group in ExportTraceServiceRequest.FromString(body).resource_spans
                for one in group.scope_spans
                for span in one.spans
            }
    assert names <= {"second", "second attempt 1", "first", "first attempt 1"}
    assert names & {"second", "second attempt 1"}
