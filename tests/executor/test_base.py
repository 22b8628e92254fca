"""What one worker tells of others is theirs."""

from __future__ import annotations

from makeway.executor.base import Readings, of_each
from makeway.model.record import Note, Sample


def sample(value: float, worker: int | None = None) -> Sample:
    return Sample(name="rtt_ms", at_ms=1, value=value, worker=worker)


def test_what_a_worker_tells_of_others_becomes_theirs_and_its_notes_stay_its_own() -> None:
    note = Note(kind="tag", key="a", at_ms=1)
    told = Readings(
        job="a", number=1, rank=0, notes=(note,),
        samples=(sample(1), sample(2, 3), sample(3, 0), sample(4, 1), sample(5, 3)),
    )  # fmt: skip
    own, first, third = of_each([told])
    assert [(one.rank, [it.value for it in one.samples]) for one in (own, first, third)] == [
        (0, [1, 3]), (1, [4]), (3, [2, 5]),
    ]  # fmt: skip
    assert (own.notes, first.notes, third.notes) == ((note,), (), ())


def test_what_a_worker_tells_of_itself_is_passed_on_as_it_is() -> None:
    told = Readings(job="a", number=1, rank=2, samples=(sample(1), sample(2, 2)))
    [same] = of_each([told])
    assert same is told
