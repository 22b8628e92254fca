"""Which place in line a job has: counted from the lanes, the same as if all stood in one line."""

from __future__ import annotations

from random import Random

import pytest

from makeway.engine.waiting import places
from makeway.model import event as ev
from tests.engine.house import House, spec


@pytest.mark.parametrize("seed", range(5))
def test_a_place_is_that_in_the_whole_line(seed: int) -> None:
    rng, house = Random(seed), House()
    names = [f"j{number}" for number in range(40)]
    for name in names:
        wanted = spec(rng.randint(1, 3), queue=rng.choice("ab"), priority=rng.choice((0, 0, 100)))
        house.tell(ev.JobSubmitted(job=name, spec=wanted))
    for name in rng.sample([*house.engine.state.waiting], 8):
        house.tell(ev.JobHoldRequested(job=name, text="held"))
    state = house.engine.state
    line = sorted(state.waiting.values(), key=lambda job: (-job.priority, job.order, job.id))
    expected = {job.id: place for place, job in enumerate(line, start=1)}
    assert len(expected) > 20
    assert places(state, [*names, "stranger"]) == expected
    assert places(state, [line[3].id]) == {line[3].id: 4}
    assert places(state, []) == {}
