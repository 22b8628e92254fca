"""The dashboard for Grafana shows numbers that there are."""

from __future__ import annotations

import json
import re
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from makeway.model import event as ev
from makeway.model.cluster import Allocation, Placement
from makeway.model.job import JobSpec
from makeway.model.record import Cause, CauseClass, Decision, Diagnosis
from tests.builders import group
from tests.server.site import Site

DASHBOARD = Path(__file__).parents[2] / "docs" / "grafana" / "makeway.json"
NAMED = re.compile(r"\bmakeway_[a-z_]+")


def families(site: Site) -> set[str]:
    """Read /metrics as Prometheus' own client does, and give the names of all series."""
    text = site.ada.get("/metrics").body.decode()
    found = set()
    for family in text_string_to_metric_families(text):
        assert family.type != "unknown", family.name
        assert family.documentation, family.name
        names = {family.name, f"{family.name}_total", f"{family.name}_bucket"}
        found |= names | {f"{family.name}_sum", f"{family.name}_count"}
    return found


def test_prometheus_own_client_reads_every_number(site: Site) -> None:
    _something_happened(site)
    found = families(site)
    for name in (
        "step_attempts_total", "step_queue_seconds_sum", "step_run_seconds_count",
        "pending_steps", "retries_total", "wasted_resource_seconds_total", "diagnoses_total",
        "samples_dropped_total",
    ):  # fmt: skip
        assert f"makeway_{name}" in found


def test_every_panel_asks_for_numbers_that_there_are(site: Site) -> None:
    dashboard = json.loads(DASHBOARD.read_text("utf-8"))
    asked = {
        name
        for panel in dashboard["panels"]
        for target in panel.get("targets", ())
        for name in NAMED.findall(target["expr"])
    }
    assert len(asked) > 10
    assert asked <= families(site)
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(ids) == len({*ids})


def test_the_values_of_a_family_keep_their_labels(site: Site) -> None:
    _something_happened(site)
    text = site.ada.get("/metrics").body.decode()
    [family] = [
        one
        for one in text_string_to_metric_families(text)
        if one.name == "makeway_wasted_resource_seconds"
    ]
    assert {"resource": "cpus", "cause": "OOM_HOST"} in [one.labels for one in family.samples]


def _something_happened(site: Site) -> None:
    """Let the service's own count see an attempt that failed and was made again."""
    tally = site.front.feed.tally
    spec = JobSpec(name="flow.a", user="ada", queue="main", groups=(group(cpus=1),), run="r")
    room = Allocation((Placement(node="n1", group="worker", count=1),))
    found = Diagnosis(
        cause=Cause.OOM_HOST, cause_class=CauseClass.RESOURCE, confidence="established", text=""
    )
    paid = Decision(
        action="retry", cause=Cause.OOM_HOST, fingerprint="", text="", rule="", ledger="oom"
    )
    for at_ms, event in (
        (0, ev.JobSubmitted(job="dashboard", spec=spec)),
        (1, ev.AttemptStarted(
            job="dashboard", number=1, fence=1, allocation=room, barrier_at_ms=0
        )),
        (1001, ev.AttemptEnded(job="dashboard", number=1, fence=1, diagnosis=found)),
        (1001, ev.JobRequeued(job="dashboard", not_before_ms=0, decision=paid)),
    ):  # fmt: skip
        tally.add(ev.Entry(seq=1, at_ms=at_ms, cause=0, event=event))
