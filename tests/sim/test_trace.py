"""Read traces, refuse wrong ones with their line, and replay them."""

from __future__ import annotations

import pytest

from makeway.errors import InvalidInput
from makeway.model.resources import CPU, GPU
from makeway.model.rules import Rules
from makeway.policy.choose import policy_named
from makeway.sim.replay import replay
from makeway.sim.trace import Header, csv_rows, machines, swf_rows, workload

CSV = """submit_s,duration_s,gpus,user,group
0,100,4,ada,lab
10,50,8,bob,lab
20,5,1,eve,shop
30,5,1,eve,shop
"""
SWF = """; MaxProcs: 8
1 0 -1 100 4 -1 -1 4 200 -1 1 7 2 -1 1 -1 -1 -1
2 10 -1 -1 4 -1 -1 4 200 -1 0 7 2 -1 1 -1 -1 -1
"""
WRONG = {
    "submit_s,duration_s,gpus\n": "t.csv:1",
    "submit_s,duration_s,gpus,user,colour\n": "t.csv:1",
    "submit_s,duration_s,gpus,user\n0,-5,1,ada\n": "t.csv:2",
    "submit_s,duration_s,gpus,user\n0,5,one,ada\n": "t.csv:2",
    "submit_s,duration_s,gpus,user\n0,5,1\n": "t.csv:2",
    "": "t.csv",
}


def test_a_csv_row_is_a_gang_of_one_worker_a_device() -> None:
    first, *_, last = csv_rows(CSV.splitlines(keepends=True), "t.csv")
    assert (first.at_ms, first.duration_ms, first.workers, first.user) == (0, 100_000, 4, "ada")
    assert first.per_worker[GPU] == 1000
    assert (last.group, last.at_ms) == ("shop", 30_000)


def test_a_row_of_swf_that_never_ran_is_left_out_and_counted() -> None:
    header = Header()
    (row,) = swf_rows(SWF.splitlines(keepends=True), "t.swf", header)
    assert (row.workers, row.per_worker[CPU], row.time_limit_ms) == (4, 1000, 200_000)
    assert (header.processors, header.left_out) == (8, 1)


@pytest.mark.parametrize("text", WRONG)
def test_what_is_wrong_is_told_with_its_line(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        list(csv_rows(text.splitlines(keepends=True), "t.csv"))
    assert str(caught.value).startswith(WRONG[text])


@pytest.mark.parametrize("policy, waits_ms", [("fifo", 85_000), ("fit", 22_500)])
def test_a_trace_is_replayed_to_its_end(policy: str, waits_ms: int) -> None:
    rows = csv_rows(CSV.splitlines(keepends=True), "t.csv")
    work = workload(rows, machines(1, 8))
    figures = replay(work, policy_named(policy), Rules(name=policy))
    assert (figures.jobs, figures.ended, figures.preemptions) == (4, 4, 0)
    assert figures.mean_wait_ms == waits_ms
