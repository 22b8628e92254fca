"""Test taking back: who has to leave for whom, by which rule, and who has not."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from makeway.model.cluster import Queue
from makeway.model.phase import JobPhase
from makeway.model.wait import Reason
from makeway.policy.plan import Preempt
from makeway.policy.schedule import schedule
from tests.builders import group, job, node, running, snapshot_of
from tests.tables import check, waits

CASES = """
S6: a higher class takes from a lower one, in any queue
          one  two
nodes    n1 cpu 2
running  b one n1 cpu 2
queued   a two cpu 2 prio high
rules    reclaim no
expect   preempt b for a by priority | reserve a on n1 | hold a WaitingForEviction by b

the lowest class goes first, then the least lost work
nodes    n1 cpu 3
running  old main n1 cpu 1 age 900s | young main n1 cpu 1 age 60s | low main n1 cpu 1 age 9000s prio low
queued   a main gang 2 cpu 1 prio high
expect   preempt low for a by priority | preempt young for a by priority
         reserve a on n1*2 | hold a WaitingForEviction by low young

a checkpoint makes a job cheap
nodes    n1 cpu 2
running  old main n1 cpu 1 age 910s saves 100s | young main n1 cpu 1 age 60s
queued   a main cpu 1 prio high
expect   preempt old for a by priority | reserve a on n1 | hold a WaitingForEviction by old

within a queue an equal class takes nothing
nodes    n1 cpu 1
running  a main n1
queued   b main cpu 1
expect   hold b InsufficientFree by a

classes count only within a queue if the rules say so
          one  two
nodes    n1 cpu 2
running  b two n1 cpu 1 prio low | c one n1 cpu 1
queued   a one cpu 1 prio high
rules    scope queue
expect   preempt c for a by priority | reserve a on n1 | hold a WaitingForEviction by c

a queue below its due takes from one above its own, no further than half
          one  two
nodes    n1 cpu 4
running  a1..a4 one n1 cpu 1
queued   b1..b4 two cpu 1
expect   preempt a4 for b1 by reclaim | preempt a3 for b2 by reclaim | reserve b1 on n1
         reserve b2 on n1 | hold b1 WaitingForEviction by a4 | hold b2 WaitingForEviction by a3
         hold b3 InsufficientFree by a1 a2 b1 b2 | hold b4 InsufficientFree by a1 a2 b1 b2

a large job that would cost the least hides no small one that alone is worth it
          one  two
nodes    n1 cpu 4
running  small one n1 cpu 1 age 900s | large one n1 cpu 3 age 1s
queued   b two cpu 1
expect   preempt small for b by reclaim | reserve b on n1 | hold b WaitingForEviction by small

three queues and an odd number: who would overshoot takes nothing
          one  two  three
nodes    n1 cpu 4
running  a1..a2 one n1 cpu 1 | b two n1 cpu 1 | c three n1 cpu 1
queued   b2 two cpu 1
expect   hold b2 InsufficientFree

nothing is taken from a queue inside its guarantee
          one  two
nodes    n1 cpu 4
queues   one guarantee cpu 4
running  a1..a4 one n1 cpu 1
queued   b two cpu 1 prio high
expect   hold b InsufficientFree

an administrator's class ignores guarantees
          one  two
nodes    n1 cpu 2
queues   one guarantee cpu 2
running  a1..a2 one n1 cpu 1
queued   b two cpu 1 prio system
expect   preempt a2 for b by priority | reserve b on n1 | hold b WaitingForEviction by a2

inside its guarantee a queue takes back whatever it lent, also with a lower class
          one  two
nodes    n1 cpu 4
queues   two guarantee cpu 2
running  a1..a4 one n1 cpu 1 prio high
queued   b two gang 2 cpu 1
expect   preempt a4 for b by reclaim | preempt a3 for b by reclaim | reserve b on n1*2
         hold b WaitingForEviction by a4 a3

a gang is one: all of it leaves or nothing, and not for less than half of it
          one  two
nodes    n1..n4 cpu 1
running  a one n1 n2 n3 n4 gang 4 cpu 1
queued   b two cpu 1 | c two gang 2 cpu 1
expect   preempt a for c by reclaim | reserve c on n1 n2
         hold b InsufficientFree | hold c WaitingForEviction by a

where the cheapest leave gaps, and their queue then has no more to give, those leave that fit together
          one  two
nodes    n1..n2 cpu 8
running  a1..a2 one n1 cpu 3 age 1s | a3..a4 one n1 cpu 1 age 90s
         b1..b2 one n2 cpu 3 age 1s | b3..b4 one n2 cpu 1 age 90s
queued   c two gang 2 cpu 4
expect   preempt a2 for c by reclaim | preempt a4 for c by reclaim
         preempt a1 for c by reclaim | preempt a3 for c by reclaim
         reserve c on n1*2 | hold c WaitingForEviction by a2 a4 a1 a3

what the claimant turns out not to need may stay
nodes    n1 cpu 6
running  s1..s2 main n1 cpu 1 age 10s | big main n1 cpu 4 age 100s
queued   a main cpu 4 prio high
expect   preempt big for a by priority | reserve a on n1 | hold a WaitingForEviction by big

who has not run long enough stays, and that is said
nodes    n1 cpu 1
running  x main n1 cpu 1 age 10s
queued   a main cpu 1 prio high
rules    min_run 60s
expect   hold a MinRunTime by x
says     a: needs 1 worker of 1 cpu; x may not be evicted before having run for 60 s

a job that may not be preempted starts only inside a guarantee
          one  two
nodes    n1 cpu 4
queues   one guarantee cpu 2
queued   a one cpu 2 firm yes | b one cpu 1 firm yes | c two cpu 1 firm yes
expect   start a on n1 | hold b OverShare | hold c OverShare

S9: surplus workers go before anybody is evicted
nodes    n1 cpu 4
running  e main n1*3 gang 1 max 4 cpu 1 | x main n1 cpu 1
queued   a main cpu 1
expect   resize e to 2 for a by elastic | reserve a on n1 | hold a WaitingForEviction by e

two elastic jobs share what is left
nodes    n1 gpu 5
queued   a one gang 1 max 4 gpu 1 | b two gang 1 max 4 gpu 1
expect   start a on n1*3 | start b on n1*2

a limit holds, whatever is free
          lab
         a   b
nodes    n1 cpu 8
queues   lab limit cpu 3
running  x a n1 cpu 2
queued   y b cpu 2 | z b cpu 1
expect   start z on n1 | hold y QueueLimit
says     y: needs 1 worker of 2 cpus; queue lab holds 3 cpus of 3 cpus, its limit

at its limit a queue takes from its own lower classes
nodes    n1 cpu 8
queues   a limit cpu 2
running  x a n1 cpu 2 prio low
queued   y a cpu 2
expect   preempt x for y by priority | reserve y on n1 | hold y WaitingForEviction by x

S2: who does not borrow waits for its own
         a  b  c  d
nodes    n1 cpu 4
queues   a borrow no
running  x a n1 cpu 1
queued   y a cpu 1 | z b cpu 1
expect   start z on n1 | hold y BorrowingOff
says     y: needs 1 worker of 1 cpu; queue a holds 1 cpu of 1 cpu, its share, and it does not borrow

S10: who is let past a gang leaves again when that makes it fit
nodes    n1..n2 cpu 1
running  x main n1 cpu 1
queued   gang main gang 2 cpu 1 | s main cpu 1
expect   start s on n2 | hold gang InsufficientFree by x s

S10: nobody passes who cannot be made to leave and would be in the way
nodes    n1..n32 cpu 1
queued   one main cpu 1 lasts 600s prio 10 | all main gang 32 cpu 1 lasts 600s prio 5
         fits main gang 31 cpu 1 lasts 300s prio 1
expect   start one on n1
         start fits on n10 n11 n12 n13 n14 n15 n16 n17 n18 n19 n2 n20 n21 n22 n23 n24 n25 n26 n27 n28 n29 n3 n30 n31 n32 n4 n5 n6 n7 n8 n9
         hold all InsufficientFree

too long for the hole
nodes    n1..n2 cpu 1
running  x main n1 cpu 1 age 0s lasts 600s
queued   all main gang 2 cpu 1 lasts 600s | long main cpu 1 lasts 700s
expect   hold all GangIncomplete by x | hold long ReservedForOther by all
says     long: needs 1 worker of 1 cpu; there is room, but all is first in line

rule A goes before rule B: two keeps its only job as long as one has two
          one  two/0.5  three
nodes    n1 cpu 3
running  a one n1 cpu 1 | b one n1 cpu 1 | c two n1 cpu 1
queued   d three cpu 1
expect   preempt b for d by reclaim | reserve d on n1 | hold d WaitingForEviction by b

of the equally dear the one of the fullest queue leaves, so that no second one has to
          one  two  three
nodes    n1 cpu 5
running  a two n1 cpu 1 | b two n1 cpu 1 | c two n1 cpu 1 | d one n1 cpu 1 | e one n1 cpu 1
queued   g three cpu 1 | h three cpu 1
expect   preempt c for g by reclaim | reserve g on n1 | hold g WaitingForEviction by c
         hold h InsufficientFree

a guarantee counts in the order too, also without a weight
          one  two/0
nodes    n1 cpu 2
queues   two guarantee cpu 1
queued   a one cpu 2 | b two cpu 1
rules    priority no | reclaim no
expect   start b on n1 | hold a InsufficientFree by b
"""


@pytest.mark.parametrize("text", CASES.strip().split("\n\n"), ids=lambda text: text.split("\n")[0])
def test_case(text: str) -> None:
    check(text, schedule)


def test_kept_slots_are_taken_up_only_when_all_of_a_node_is_there() -> None:
    parts = [group("ps", cpus=2), group("trainer", cpus=2)]
    waiting = job("a", groups=parts)
    victim = running(job("x", cpus=2, phase=JobPhase.EVICTING), "n1")
    world = snapshot_of(
        [node("n1", cpus=4)],
        [waiting],
        [victim],
        reserved={"a": running(waiting, "n1:ps", "n1:trainer").allocation},
        leaving={"x": victim.allocation.placements},
    )
    plan = schedule(world)
    assert not plan.decisions
    assert waits(plan, world)["a"].reason is Reason.WAITING_FOR_EVICTION


def test_only_who_has_been_first_in_line_for_longest_sends_away_who_was_let_past() -> None:
    rows = [
        replace(running(job(f"s{n}", cpus=1, order=9 + n), "n1"), started_seq=9) for n in (1, 2)
    ]
    waiting = [job("old", cpus=2, order=1), job("new", cpus=1, order=2)]
    world = snapshot_of([node("n1", cpus=2)], waiting, rows, planned={"old": 1, "new": 2})
    evicted = {
        one.job: one.beneficiary for one in schedule(world).decisions if isinstance(one, Preempt)
    }
    assert evicted == {"s1": "old", "s2": "old"}


def test_whose_slots_were_kept_before_another_became_first_in_line_was_not_let_past_it() -> None:
    row = replace(running(job("b", "two", order=9), "n1"), started_seq=9)
    waiting = job("a", "one", order=1)
    world = snapshot_of([node("n1", cpus=1)], [waiting], [row], planned={"a": 5})
    assert [one.job for one in schedule(world).decisions if isinstance(one, Preempt)] == ["b"]
    kept = snapshot_of(
        [node("n1", cpus=1)], [waiting], [replace(row, line_seq=4)], planned={"a": 5}
    )
    assert not schedule(kept).decisions


def test_whoever_would_fit_if_nothing_were_kept_is_told_for_whom_it_is() -> None:
    gang, late = job("gang", workers=2), job("late", nodes=("n1",))
    victim = running(job("x", phase=JobPhase.EVICTING), "n2")
    world = snapshot_of(
        [node("n1", cpus=1), node("n2", cpus=1)],
        [gang, late],
        [victim],
        reserved={"gang": running(gang, "n1", "n2").allocation},
        leaving={"x": victim.allocation.placements},
    )
    wait = waits(schedule(world), world)["late"]
    assert (wait.reason, wait.blocked_by) == (Reason.RESERVED_FOR_OTHER, ("gang",))
    assert wait.text == "needs 1 worker of 1 cpu; there is room, but it is kept for gang"


@pytest.mark.parametrize("weight, leaves", [(1.0, set()), (3.0, {"s"})])
def test_who_was_let_past_stays_if_it_could_take_a_place_back_from_a_third_at_once(
    weight: float, leaves: set[str]
) -> None:
    # With a weight of 1 `rich` holds more than it is due, and `s` would be back a moment later.
    others = [running(job(f"r{n}", "rich", cpus=1, order=n), "n1") for n in range(1, 7)]
    others.append(running(job("h", "big", cpus=3, order=7), "n1"))
    late = replace(running(job("s", "small", cpus=1, order=9), "n1"), started_seq=9)
    world = snapshot_of(
        [node("n1", cpus=12)],
        [job("gang", "big", cpus=3, order=8)],
        [*others, late],
        [Queue(path="rich", weight=weight), Queue(path="big"), Queue(path="small")],
        planned={"gang": 1},
    )
    assert {one.job for one in schedule(world).decisions if isinstance(one, Preempt)} == leaves
