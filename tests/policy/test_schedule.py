"""Test the fair policy: who starts, who waits and with which reason."""

from __future__ import annotations

import pytest

from makeway.model.wait import Reason
from makeway.policy.plan import Start
from makeway.policy.schedule import schedule
from tests.builders import job, node, running, snapshot_of
from tests.tables import check, table, waits

CASES = """
what a limit above will never allow is refused now, whatever else it waits for
          g
          q
nodes    n1 cpu 4
queues   g limit cpu 2 | q max_running 1
running  a q n1 cpu 1
queued   b q cpu 3 | c q cpu 1
expect   reject b ExceedsLimit | hold c QueueLimit

one job on an empty cluster
nodes    n1 cpu 2
queued   a main cpu 1
expect   start a on n1

nothing waits
nodes    n1 cpu 2
running  a main n1

S5: by class, and by submission within one
nodes    n1 cpu 3
queued   b main cpu 1 prio low | a main cpu 1 prio high | c main cpu 1 prio high
         d main cpu 1
expect   start a on n1 | start c on n1 | start d on n1 | hold b InsufficientFree by a c d
says     b: needs 1 worker of 1 cpu; 0 cpus are free

S5: while the first runs, the others are told who comes before them
nodes    n1 cpu 1
queued   a main cpu 1 prio high | c main cpu 1 prio high | d main cpu 1 | b main cpu 1 prio low
expect   start a on n1 | hold c InsufficientFree by a
         hold d BehindPriority by c | hold b BehindPriority by c
says     d: needs 1 worker of 1 cpu; c is alike and comes first: its class is high, this one's medium

a class goes before fairness, in the whole cluster
          one  two
nodes    n1 cpu 2
running  a one n1 cpu 1
queued   b two cpu 1 | c one cpu 1 prio high
rules    reclaim no
expect   start c on n1 | hold b InsufficientFree by a c

S2: the queue that has less is served first
          one  two
nodes    n1 cpu 4
running  a one n1 cpu 1
queued   b one cpu 1 | c one cpu 1 | d two cpu 1 | e two cpu 1
expect   start d on n1 | start b on n1 | start e on n1 | hold c InsufficientFree by a d b e

of those that are alike, the first of the queue that has less is next
          one  two
nodes    n1 cpu 3
running  a one n1 cpu 1 | x one n1 cpu 1 | y two n1 cpu 1
queued   b one cpu 1 | c two cpu 1 | d two cpu 1
expect   hold b BehindShare by c | hold c InsufficientFree by a x y
         hold d InsufficientFree by a x y
says     b: needs 1 worker of 1 cpu; c is alike and comes first: with it two would be at 66.7% of

a weight of 2 is worth twice as much
          one  two/2
nodes    n1 cpu 6
queued   a1..a6 one cpu 1 | b1..b6 two cpu 1
expect   start b1 on n1 | start a1 on n1 | start b2 on n1 | start b3 on n1
         start a2 on n1 | start b4 on n1
         hold a3 BehindShare | hold a4 BehindShare | hold a5 BehindShare | hold a6 BehindShare
         hold b5 InsufficientFree | hold b6 InsufficientFree

a weight of 0 comes after all others, however much they have
          one  two/0
nodes    n1 cpu 3
running  a one n1 cpu 1
queued   b two cpu 1 | c one cpu 1 | d one cpu 1 | e two cpu 1
expect   start c on n1 | start d on n1 | hold b InsufficientFree | hold e InsufficientFree

a weight of 0 is told so
          one  two/0
nodes    n1 cpu 1
running  a one n1 cpu 1
queued   b two cpu 1 | c one cpu 1
expect   hold b BehindShare by c | hold c InsufficientFree by a
says     b: needs 1 worker of 1 cpu; c is alike and comes first: the weight of two is 0

two weights of 0 share alike
          one/0  two/0
nodes    n1 cpu 4
queued   a1..a2 one cpu 1 | b1..b2 two cpu 1
expect   start a1 on n1 | start b1 on n1 | start a2 on n1 | start b2 on n1

groups first, then the users in them
              g1       g2
           u1   u2     u3
nodes    n1 cpu 4
queued   a1..a4 u1 cpu 1 | b1..b4 u2 cpu 1 | c1..c4 u3 cpu 1
expect   start a1 on n1 | start c1 on n1 | start b1 on n1 | start c2 on n1
         hold a2 InsufficientFree | hold a3 InsufficientFree | hold a4 InsufficientFree
         hold b2 InsufficientFree | hold b3 InsufficientFree | hold b4 InsufficientFree
         hold c3 InsufficientFree | hold c4 InsufficientFree

jobs of a queue with children are one more child of it
            lab
         ada   bob
nodes    n1 cpu 3
running  x ada n1 cpu 1
queued   a ada cpu 1 | b lab cpu 1 | c bob cpu 1
expect   start b on n1 | start c on n1 | hold a InsufficientFree by x b c

dominant resource fairness: the kind of which a queue has most counts
          one  two
nodes    n1 cpu 10 mem 100GiB
running  a one n1 cpu 1 mem 65GiB | b two n1 cpu 5 mem 10GiB
queued   c one cpu 1 | d two cpu 1 | e two cpu 3
expect   start d on n1 | start c on n1 | hold e InsufficientFree

the last room does not go to whoever would overshoot with it
          one  two
nodes    n1 cpu 8
running  a one n1 cpu 1 | b two n1 cpu 3
queued   c one cpu 4 | d two cpu 1
expect   start d on n1 | hold c InsufficientFree by a b d

equal queues: the one with fewer jobs first
          one  two
nodes    n1 cpu 6
running  a one n1 cpu 1 | b one n1 cpu 1 | c two n1 cpu 2
queued   d one cpu 2 | e two cpu 2
expect   start e on n1 | hold d InsufficientFree

what does not fit blocks nobody
nodes    n1 cpu 4
queued   a main cpu 3 prio high | b main gang 2 cpu 1 | c main cpu 1 prio low
expect   start a on n1 | start c on n1 | hold b InsufficientFree by a c

who asks for another kind is not behind anybody
nodes    n1 cpu 4 gpu 1
running  x main n1 cpu 1 gpu 1
queued   a main gpu 1 prio high | b main cpu 5 prio low | c main cpu 1 prio low
rules    priority no
expect   start c on n1 | reject b NoNodeFits | hold a InsufficientFree by x

S8: a gang whole or not at all
nodes    n1..n3 gpu 1
running  a main n1
queued   b main gang 3 gpu 1 | c main gang 2 gpu 1
expect   start c on n2 n3 | hold b InsufficientFree by a c

S8: of two gangs, neither gets a half
nodes    n1..n2 gpu 2
queued   a main gang 3 gpu 1 | b main gang 3 gpu 1
expect   start a on n1*2 n2 | hold b GangIncomplete by a
says     b: needs 3 workers of 1 gpu; 1 gpu is free: room for 1 of 3

enough is free, but nowhere in one place
nodes    n1..n3 gpu 4
running  a1 main n1 gpu 2 | a2 main n2 gpu 2 | a3 main n3 gpu 3
queued   b main gpu 4 | c main gang 2 gpu 3
expect   hold b Fragmented by a1 a2 a3 | hold c InsufficientFree

what can never fit is refused, with the numbers, and holds nobody up
nodes    n1 cpu 4 gpu 2 | n2 cpu 8
queued   a main gpu 4 prio high | b main cpu 8 gpu 2 | c main gang 4 cpu 4 | d main cpu 1
expect   start d on n2 | reject a NoNodeFits | reject b NoNodeFits | reject c NoNodeFits
says     a: needs 1 worker of 4 gpus; the largest node has 2 gpus
         b: needs 1 worker of 8 cpus and 2 gpus; no node has all of that
         c: needs 4 workers of 4 cpus; the whole cluster, when it is empty, has room for 3 of the 4

nobody is refused before the first node has joined
queued   a main cpu 1 | b main cpu 1 prio high
expect   hold a InsufficientFree | hold b InsufficientFree
says     a: needs 1 worker of 1 cpu; no node has joined yet

a backoff is waited for, and nobody waits behind it
nodes    n1 cpu 1
queued   a main cpu 1 backoff 20s | b main cpu 1
expect   start b on n1 | hold a Backoff
says     a: attempt 0 did not succeed

a backoff that is over
nodes    n1 cpu 1
queued   a main cpu 1 backoff 0s
expect   start a on n1

several groups start together
nodes    n1 cpu 4 | n2..n3 cpu 4 gpu 1
queued   a main ps: cpu 2 + trainer: gang 2 cpu 3 gpu 1 | b main ps: cpu 3 + trainer: cpu 2
expect   start a on n1:ps n2:trainer n3:trainer | hold b GangIncomplete by a
says     b: needs 1 worker (ps) of 3 cpus and 1 worker (trainer) of 2 cpus; 4 cpus are free

numbers are for people
nodes    n1 cpu 1 mem 1GiB
running  x main n1 cpu 0.7 mem 500MiB
queued   a main gang 2 cpu 0.5 mem 400MiB
expect   hold a InsufficientFree by x
says     a: needs 2 workers of 0.5 cpus and 400 MiB; 0.3 cpus and 524 MiB are free

other kinds of resources have their own names
nodes    n1 cpu 4 license 3
running  x main n1 license 2
queued   a main cpu 0.25 license 2
expect   hold a InsufficientFree by x
says     a: needs 1 worker of 0.25 cpus and 2 license; 1 license is free

a gang of 2 on a cluster that would have room for 1 of each kind
nodes    n1 cpu 4 mem 1.5TiB | n2 cpu 1 mem 100KiB
queued   a main gang 2 cpu 1 mem 1.25TiB
expect   reject a NoNodeFits
says     a: needs 2 workers of 1 cpu and 1.25 TiB; the whole cluster, when it is empty, has room for 1

S9: an elastic job starts at what fits
nodes    n1 cpu 3
queued   a main gang 2 max 4 cpu 1
expect   start a on n1*3
"""


@pytest.mark.parametrize("text", CASES.strip().split("\n\n"), ids=lambda text: text.split("\n")[0])
def test_case(text: str) -> None:
    check(text, schedule)


def test_a_group_is_not_held_back_by_what_its_users_hold_of_different_kinds() -> None:
    case = table("""
        one user of eng asks for cpus alone, the other for memory alone
                    sci      eng
                          dev   prod
        nodes    n1 cpu 10 mem 10GiB
        queued   a1..a20 sci cpu 1 mem 1GiB | b1..b20 dev cpu 1 | c1..c20 prod mem 1GiB
        """)
    started = [one.job[0] for one in schedule(case.snapshot).decisions if isinstance(one, Start)]
    assert {name: started.count(name) for name in "abc"} == {"a": 5, "b": 5, "c": 5}


def test_a_backoff_says_until_when() -> None:
    late = job("a", not_before_ms=5_000_000, attempts=2)
    world = snapshot_of([node("n1", cpus=1)], [late])
    assert waits(schedule(world), world)["a"].detail == {"until_ms": 5_000_000, "attempts": 2}


def test_numbers_stand_in_the_detail_too() -> None:
    case = table("""
        a gang has room for a part
        nodes    n1..n3 gpu 1
        running  x main n1
        queued   a main gang 3 gpu 1
        """)
    wait = waits(schedule(case.snapshot), case.snapshot)["a"]
    assert wait.reason is Reason.GANG_INCOMPLETE
    assert wait.detail == {"have": 2, "need": 3, "free": {"gpu_milli": 2000}}


def test_those_who_are_alike_get_one_and_the_same_reason() -> None:
    waiting = [job(f"a{number}", cpus=2) for number in range(50)]
    full = snapshot_of([node("n1", cpus=2)], waiting, [running(job("x", cpus=2), "n1")])
    assert len({id(wait) for wait in waits(schedule(full), full).values()}) == 1


def test_only_a_few_who_stand_in_the_way_are_named() -> None:
    rows = [running(job(f"x{number}"), "n1") for number in range(9)]
    full = snapshot_of([node("n1", cpus=9)], [job("a")], rows)
    assert waits(schedule(full), full)["a"].blocked_by == ("x0", "x1", "x2", "x3", "x4")


def test_the_basis_of_the_plan_is_that_of_the_snapshot() -> None:
    assert schedule(snapshot_of([node("n1")])).basis == snapshot_of([]).basis
