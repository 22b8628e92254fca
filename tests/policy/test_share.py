"""Test the four numbers of every queue: share, due, usage, demand."""

from __future__ import annotations

import pytest

from makeway.model.cluster import Queue
from makeway.model.resources import NOTHING
from makeway.policy.ledger import Ledger
from makeway.policy.level import Levels
from makeway.policy.share import Claim, divide, fill, standings
from makeway.policy.terms import terms_of
from tests.builders import amounts, job, node, running, snapshot_of
from tests.tables import table

CASES = """
S2: four users own a quarter each
          a   b   c   d
nodes    n1 cpu 8
running  a1 a n1 cpu 2 | b1 b n1 cpu 1 | b2 b n1 cpu 1
queued   a2 a cpu 2
share    a 25% | b 25% | c 25% | d 25%
usage    a cpu 2 | b cpu 2 | c
demand   a cpu 4 | b cpu 2 | c
due      a cpu 4 | b cpu 2 | c | d

S2: a fifth user appears, and everybody has a fifth
          a   b   c   d
nodes    n1 cpu 10
queued   a1 a cpu 3 | b1 b cpu 3 | c1 c cpu 3 | d1 d cpu 3 | e1 e cpu 3
share    a 20% | b 20% | c 20% | d 20% | e 20%
due      a cpu 2 | b cpu 2 | c cpu 2 | d cpu 2 | e cpu 2

S3: groups of 3, 2 and 4 users
               g1               g2                g3
          u1   u2   u3       u4    u5      u6   u7   u8   u9
nodes    n1 cpu 36
queued   j1 u1 cpu 36 | j2 u2 cpu 36 | j3 u3 cpu 36 | j4 u4 cpu 36 | j5 u5 cpu 36
         j6 u6 cpu 36 | j7 u7 cpu 36 | j8 u8 cpu 36 | j9 u9 cpu 36
share    g1 33.3% | g2 33.3% | g3 33.3% | u1 11.1% | u2 11.1% | u3 11.1%
         u4 16.7% | u5 16.7% | u6 8.3% | u7 8.3% | u8 8.3% | u9 8.3%
due      g1 cpu 12 | g2 cpu 12 | g3 cpu 12 | u1 cpu 4 | u3 cpu 4 | u4 cpu 6 | u5 cpu 6
         u6 cpu 3 | u9 cpu 3

who asks for less leaves it to its siblings
          a   b   c
nodes    n1 cpu 100
queued   a1 a cpu 1 | b1 b cpu 40 | c1 c cpu 1000
share    a 33.3% | b 33.3% | c 33.3%
due      a cpu 1 | b cpu 40 | c cpu 59

what a user leaves goes to its group first
              g1        g2
           u1   u2      u3
nodes    n1 cpu 12
queued   a u1 cpu 1 | b u2 cpu 12 | c u3 cpu 12
due      g1 cpu 6 | u1 cpu 1 | u2 cpu 5 | u3 cpu 6

what a whole group leaves goes to the others
              g1        g2
           u1   u2      u3
nodes    n1 cpu 12
queued   a u1 cpu 1 | b u2 cpu 2 | c u3 cpu 12
due      g1 cpu 3 | u1 cpu 1 | u2 cpu 2 | g2 cpu 9 | u3 cpu 9

each kind for itself
          a   b
nodes    n1 cpu 10 mem 100GiB
queued   a1 a cpu 8 mem 10GiB | b1 b cpu 8 mem 95GiB
due      a cpu 5 mem 10GiB | b cpu 5 mem 90GiB

whole devices: the larger remainder gets the odd one
          a   b/4
nodes    n1 gpu 11
queued   a1 a gpu 11 | b1 b gpu 11
share    a 20% | b 80%
due      a gpu 2 | b gpu 9

parts of devices, where somebody asks for them
          a   b/4
nodes    n1 gpu 11
queued   a1 a gpu 11 | b1 b gpu 10.5
due      a gpu 2.2 | b gpu 8.8

a weight of 0 gets what the others leave
          a   b/0   c/0
nodes    n1 cpu 12
queued   a1 a cpu 6 | b1 b cpu 10 | c1 c cpu 1
share    a 100% | b 0% | c 0%
due      a cpu 6 | b cpu 5 | c cpu 1

jobs of a queue with children are one more child of it
           lab         two
         a     b
nodes    n1 cpu 12
queued   x lab cpu 9 | y a cpu 9 | z two cpu 9
share    lab 50% | a 16.7% | b 16.7% | two 50%
demand   lab cpu 18 | a cpu 9 | b
due      lab cpu 6 | a cpu 3 | b | two cpu 6

elastic jobs ask for their maximum, those in a backoff for nothing yet
          a   b   c
nodes    n1 cpu 12
running  x a n1 cpu 1 max 3
queued   y b gang 2 max 5 cpu 1 | z c cpu 4 backoff 9s
usage    a cpu 1 | b | c
demand   a cpu 3 | b cpu 5 | c
"""


@pytest.mark.parametrize("text", CASES.strip().split("\n\n"), ids=lambda text: text.split("\n")[0])
def test_case(text: str) -> None:
    case = table(text)
    found = standings(case.snapshot)
    for row in ("share", "due", "usage", "demand"):
        for item in case.rows.get(row, ()):
            name, *words = item.split()
            number = getattr(found[case.paths.get(name, name)], row)
            if row == "share":
                assert f"{number:.1%}" == f"{float(words[0].rstrip('%')):.1f}%", item
            else:
                assert number == vector(words), item


def vector(words: list[str]) -> object:
    pairs = dict(zip(words[::2], words[1::2], strict=True))
    return amounts(
        cpus=float(pairs.get("cpu", 0)),
        memory=pairs.get("mem", 0),
        gpus=float(pairs.get("gpu", 0)),
    )


def test_the_root_owns_the_cluster() -> None:
    root = standings(snapshot_of([node("n1", cpus=4)], [job("a", cpus=9)]))[""]
    assert (root.share, root.due, root.usage) == (1.0, amounts(cpus=4), NOTHING)


def test_an_empty_cluster_owes_nothing() -> None:
    assert standings(snapshot_of([], [job("a")]))["main"].due == NOTHING


def test_odd_units_go_by_the_largest_remainder_then_by_place() -> None:
    assert fill(5, [Claim(1, 9), Claim(1, 9), Claim(1, 9)]) == [2, 2, 1]
    assert fill(10, [Claim(1, 9), Claim(2, 9), Claim(4, 9)]) == [1, 3, 6]


def levels(*queues: Queue) -> Levels:
    world = snapshot_of([node("n1", cpus=10, memory="100GiB")], queues=queues)
    ledger = Ledger(world)
    return Levels(ledger, terms_of(world, ledger.capacity))


def test_a_level_counts_the_dominant_kind_for_the_weight() -> None:
    found = levels(Queue(path="a"), Queue(path="b", weight=2), Queue(path="c", weight=0))
    usage = amounts(cpus=1, memory="40GiB")
    assert found.of("a", usage) == (False, 0.4)
    assert found.of("b", usage + amounts(cpus=9)) == (False, 0.5)
    assert found.of("c", usage) == (True, 0.4)


def test_inside_its_guarantee_a_queue_is_empty_and_above_it_only_the_rest_counts() -> None:
    found = levels(Queue(path="a", guarantee={"cpu_milli": 4000}))
    assert found.of("a", amounts(cpus=4, memory="90GiB")) == (False, 0.0)
    assert found.of("a", amounts(cpus=6)) == (False, 0.2)


def test_equal_levels_are_equal_numbers() -> None:
    found = levels(*(Queue(path=f"q{weight}", weight=weight) for weight in range(1, 10)))
    assert len({found.of(f"q{weight}", amounts(cpus=weight)) for weight in range(1, 10)}) == 1


def test_guarantees_come_first_and_the_rest_goes_by_weight() -> None:
    assert divide(11, [Claim(1, 11, 2), Claim(4, 11, 2)]) == [3, 8]
    assert divide(10, [Claim(1, 1, 4), Claim(1, 99, 4)]) == [1, 9]


def test_guarantees_that_cannot_all_be_kept_are_scaled() -> None:
    assert divide(6, [Claim(1, 9, 8), Claim(1, 9, 4)]) == [4, 2]
    case = table("""
        at the top guarantees may add up to more than there is
                  a   b
        nodes    n1 cpu 6
        queues   a guarantee cpu 8 | b guarantee cpu 4
        queued   x a cpu 9 | y b cpu 9
        """)
    due = {path: one.due["cpu_milli"] for path, one in standings(case.snapshot).items()}
    assert (due["a"], due["b"]) == (4000, 2000)


def test_a_parent_that_names_no_guarantee_is_sure_of_what_its_children_are() -> None:
    case = table("""
        a guarantee holds against the siblings of its parent
                  p     q
                  c
        nodes    n1 cpu 4
        queues   c guarantee cpu 3
        queued   x c cpu 4 | y q cpu 4
        """)
    due = {path: one.due["cpu_milli"] for path, one in standings(case.snapshot).items()}
    assert (due["p"], due["p/c"], due["q"]) == (3500, 3500, 500)


def test_nobody_is_due_more_than_its_limit() -> None:
    case = table("""
        a limit, and a queue that does not borrow
                  a   b   c
        nodes    n1 cpu 12
        queues   a limit cpu 2 | b borrow no
        queued   x a cpu 9 | y b cpu 9 | z c cpu 9
        """)
    due = {path: one.due["cpu_milli"] for path, one in standings(case.snapshot).items()}
    assert (due["a"], due["b"], due["c"]) == (2000, 4000, 6000)


def test_usage_is_counted_through_the_tree() -> None:
    rows = [running(job("x", "lab/ada"), "n1"), running(job("y", "lab/bob"), "n1")]
    found = standings(snapshot_of([node("n1", cpus=4)], running=rows))
    used = {path: one.usage["cpu_milli"] for path, one in found.items()}
    assert used == {"": 2000, "lab": 2000, "lab/ada": 1000, "lab/bob": 1000}
