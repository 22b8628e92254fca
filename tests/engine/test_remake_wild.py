"""Whatever is lost, and whenever: no output is made twice at once, and every run comes to an end."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from makeway.model import event as ev
from makeway.model.phase import AttemptPhase
from makeway.model.workflow import Stored, Workflow, step_key
from tests.engine.replayed import believed
from tests.engine.test_remake import Memory, flow, step

STEPS, TURNS = 7, 120


def any_flow(rng: Random) -> Workflow:
    """Build a graph in which each step reads some of those before it."""
    keys = [f"s{number}" for number in range(STEPS)]
    return flow(
        *(
            step(key, *rng.sample(keys[:at], k=min(at, rng.randint(0, 3))))
            for at, key in enumerate(keys)
        )
    )


class Storm:
    """A house in which memory fails at any time."""

    def __init__(self, seed: int) -> None:
        self.rng = Random(seed)
        self.house = Memory()
        self.house.runs("r", any_flow(self.rng))
        self.made = 0

    @property
    def alive(self) -> list[str]:
        return [*self.house.engine.state.attempts]

    def blow(self) -> None:
        """Let one thing happen."""
        house, lot = self.house, self.rng.random()
        if lot < 0.15:
            outputs = [
                one.output.digest
                for one in house.engine.state.executions.get("r", {}).values()
                if one.output is not None
            ]
            house.gone |= {*self.rng.sample(outputs, k=min(len(outputs), 2))}
        elif lot < 0.2:
            before = believed(house.engine.state, house.now_ms)
            house.restart()
            assert believed(house.engine.state, house.now_ms) == before
        elif self.alive:
            self.lives_on(self.rng.choice(self.alive))

    def lives_on(self, job: str) -> None:
        """Let an attempt begin, or come to its end."""
        house = self.house
        if house.attempt(job).phase is AttemptPhase.PREPARING:
            house.go(job)
        elif lost := self.lost(job):
            house.misses(job, *lost)
        else:
            self.made += self.rng.random() < 0.3  # what is made again may be something else
            house.ends_with(job, f"{step_key(job)}.{self.made}")

    def lost(self, job: str) -> list[str]:
        call = self.house.job(job).spec.program.call
        assert call is not None
        return [
            name
            for name, binding in call.arguments.items()
            if isinstance(binding, Stored) and binding.output.digest in self.house.gone
        ]


@given(st.integers(0, 2**32))
def test_whatever_is_lost_every_run_ends_and_replays(seed: int) -> None:
    storm = Storm(seed)
    house = storm.house
    for _ in range(TURNS):
        storm.blow()
        if "r" not in house.engine.state.runs:
            break
    while storm.alive:
        storm.lives_on(storm.alive[0])
    assert "r" not in house.engine.state.runs, "the run waits for ever"
    asked = [entry.event for entry in house.log if isinstance(entry.event, ev.ExecutionReplaced)]
    keys = [step_key(one.execution) for one in asked]
    assert all(keys.count(key) <= 1 for key in keys), "an output was made again twice"
