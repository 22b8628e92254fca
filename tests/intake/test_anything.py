"""Give the readers anything at all: they read it, or say in one error what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from makeway.errors import InvalidInput
from makeway.intake import jobs, queues
from makeway.intake.located import item_of
from makeway.intake.setup import KEYS, setup_of
from makeway.live.settings import SETTINGS, Folders, Setting
from makeway.model.job import JobSpec, Program
from makeway.model.rules import Rules

HERE = JobSpec(name="a", user="ada", queue="lab", program=Program(argv=("true",)))
POLICY = ("name", "priority_scope", "classes", "preemption", "backfill", "consolidate", "usage")
INNER = (
    *("name", "workers", "min", "max", "per_worker", "cpus", "memory", "gpus", "job", "on"),
    *("label", "required", "labels", "count", "value", "scope", "delay", "half_life", "depth"),
    *("running", "resources", "high", "low", "weight"),
)

plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.just(10**400)
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(("fair", "ended", "high", "5m", "1GB", "-1", "a/b", "\ud800", "0" * 400)),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(INNER) | st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)


def of(keys: tuple[str, ...]) -> st.SearchStrategy[dict[str, object]]:
    return st.dictionaries(st.sampled_from(keys), plain, max_size=5)


def refused(read: Callable[[], object]) -> str | None:
    """Read something, and give the place of what is wrong with it."""
    try:
        read()
    except InvalidInput as error:
        return error.where
    return None


@given(of(jobs.KEYS))
def test_any_body_is_a_job_that_can_be_stored_or_an_error_with_a_place(
    body: dict[str, object],
) -> None:
    def read() -> None:
        spec = jobs.spec_of(item_of(body, "body"), Rules(), HERE)
        assert msgspec.json.decode(msgspec.json.encode(spec), type=JobSpec) == spec

    assert (refused(read) or "body").startswith("body")


@given(
    st.fixed_dictionaries({}, optional=dict.fromkeys(KEYS, plain))
    | st.fixed_dictionaries(
        {
            "policy": of(POLICY),
            "queues": st.lists(of(("name", "queues", "users", *queues.QUEUE_KEYS)), max_size=3),
        }
    )
)
def test_any_file_sets_a_cluster_up_or_is_an_error_with_a_place(body: dict[str, object]) -> None:
    fields = item_of(body, "file").mapping("it")
    found = refused(lambda: setup_of(fields, ("fair", "fifo")))
    assert (found or "file").startswith("file")


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda one: one.name)
@given(value=plain)
def test_any_value_of_the_configuration_is_read_or_is_an_error(
    setting: Setting, value: object
) -> None:
    folders = Folders(Path("/work"), Path("/home/ada"))
    found = refused(lambda: setting.read(item_of(value, "X"), setting.key, folders))
    assert (found or "X").startswith("X")


def test_a_number_of_thousands_of_digits_is_no_name() -> None:
    huge = item_of({"name": 10**5000, "command": [10**5000]}, "body")
    assert refused(lambda: jobs.spec_of(huge, Rules(), HERE)) == "body: name"
    assert refused(lambda: huge.mapping("it")["command"].items("it")[0].long_text("it", 9))
