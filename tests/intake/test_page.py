"""Hold the page on files of jobs to what is read."""

from __future__ import annotations

import re
from pathlib import Path

from makeway.cli.yamlfile import read_text
from makeway.intake.jobs import KEYS, spec_of
from makeway.model.job import JobSpec
from makeway.model.rules import Rules

PAGE = (Path(__file__).parents[2] / "docs" / "jobs.md").read_text("utf-8")
HERE = JobSpec(name="", user="ada", queue="lab/ada")


def test_every_key_of_a_job_is_described() -> None:
    assert set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)) == {*KEYS}


def test_the_example_is_a_job() -> None:
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    spec = spec_of(read_text(text, "job.yaml"), Rules(), HERE)
    assert spec.elastic
    assert spec.program.argv == ("python", "train.py", "--epochs", "10")


def test_the_defaults_are_those_that_hold() -> None:
    spec = spec_of(read_text("{name: a, command: ls}", "job.yaml"), Rules(), HERE)
    cells = dict(re.findall(r"^\| `(\w+)` \| ([^|]*) \|", PAGE, re.MULTILINE))
    assert cells["grace"] == f"`{spec.grace_ms // 1000}s`"
    assert cells["barrier"] == f"`{spec.barrier_ms // 1000}s`"
    assert (cells["retries"], cells["priority"]) == (str(spec.retries), str(spec.priority))
    assert (cells["startup"], cells["workers"]) == (str(spec.startup_ms), str(spec.workers_min))
    for key in ("idempotent", "preemptible"):
        assert cells[key] == str(getattr(spec, key)).lower()
