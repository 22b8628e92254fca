"""Test what a cycle leaves out of its work: what an earlier one knew, and what sums call hopeless."""

from __future__ import annotations

from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from makeway.model.cluster import lineage_of
from makeway.model.resources import NOTHING, Resources
from makeway.policy import claim as claims
from makeway.policy.held import Held
from makeway.policy.legal import Legal
from makeway.policy.memo import Memo, Sums, own_part
from makeway.policy.rooms import Rooms
from makeway.policy.schedule import schedule
from makeway.policy.snapshot import Snapshot
from tests.builders import amounts
from tests.policy.test_properties import PATHS, worlds

Key = tuple[str, int]
helds = st.dictionaries(
    st.tuples(st.sampled_from(PATHS), st.sampled_from([0, 100])),
    st.builds(
        lambda jobs, cpus: Held(jobs=jobs, usage=amounts(cpus=cpus)),
        st.integers(1, 3),
        st.integers(0, 4),
    ),
)


def added_up(held: dict[Key, Held]) -> dict[str, Resources]:
    """Add up the plain way what every queue and every own part holds."""
    usage: dict[str, Resources] = {}
    for (queue, _), one in held.items():
        for path in (own_part(queue), *lineage_of(queue)):
            usage[path] = usage.get(path, NOTHING) + one.usage
    return {path: amount for path, amount in usage.items() if amount}


@given(st.lists(helds, max_size=4))
def test_sums_that_are_kept_up_are_what_one_would_add_up(
    held_before: list[dict[Key, Held]],
) -> None:
    sums = Sums()
    for held in held_before:
        read = sums.read(held)
        assert read.usage == added_up(held)
        assert read.jobs.get("", 0) == sum(one.jobs for one in held.values())
        for (queue, priority), one in held.items():
            jobs, usage = read.by_class[own_part(queue), priority]
            assert (jobs, usage) == (one.jobs, one.usage)


@given(worlds(), worlds())
def test_a_cycle_that_follows_another_decides_as_the_first_one_would(
    first: Snapshot, second: Snapshot
) -> None:
    memo = Memo()
    for world in (first, second, first):
        known = replace(world, memo=memo, rooms=Rooms(world.free))
        fresh = replace(world, memo=Memo(), rooms=Rooms(world.free))
        assert schedule(known).decisions == schedule(fresh).decisions


@given(worlds())
def test_what_sums_call_hopeless_is_what_would_have_been_tried_in_vain(world: Snapshot) -> None:
    quick = schedule(world).decisions
    with (
        patch.object(Legal, "hopeless", lambda _legal: False),
        patch.object(claims, "could_be_enough", lambda *_: True),
    ):
        assert schedule(world).decisions == quick


@given(worlds())
def test_whom_a_claimant_takes_is_the_same_whether_all_nodes_are_ranked_or_only_a_few(
    world: Snapshot,
) -> None:
    plain = schedule(world).decisions  # on so few nodes all are ranked
    with patch.object(claims, "CLAIMS_FEW", 0), patch.object(claims, "NODES_FEW", 0):
        assert schedule(world).decisions == plain
