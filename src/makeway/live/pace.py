"""Watch how fast each worker of one attempt works, and say which of them slows all the others.

What a worker needs by itself for a step (`local_ms`), the round trip to the others (`rtt_ms`) and how
much it had to do (`items`) come with its samples. The last steps of each rank are kept; whenever ten
more are there, the rules of `health` look at them as they would at a document.

Takes:   samples of the workers, by rank, with their training step; the attempt and its job
Gives:   a symptom that names the rank, with what is decided about it: replaced, or only watched
Cost:    60 steps of each rank in memory; one judgement every ten steps
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import msgspec

from makeway.health.judge import judge
from makeway.health.remedy import remedy
from makeway.model import incident as on
from makeway.model.job import Attempt, Job
from makeway.model.record import SLOW, Cause, Decision, Sample, Symptom

MEASURES = ("local_ms", "rtt_ms", "bandwidth_mb_s", "items")
KEPT = 60
EVERY = 10
NAMED = (Cause.STRAGGLER, Cause.DEGRADED, Cause.DATA_SKEW)

Steps = deque[tuple[int, float]]  # when (ms), and the value


class Verdict(msgspec.Struct, frozen=True):
    """What is seen of an attempt that runs, and what is done about it, if anything is."""

    symptom: Symptom
    decision: Decision | None


class Pace:
    """The latest steps of the workers of one attempt."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self._series: dict[int, dict[str, Steps]] = {}
        self._steps = self._judged_at = 0
        self.slow: Verdict | None = None

    def take(self, rank: int, sample: Sample) -> None:
        """Take a sample, if it says how fast a worker is."""
        if sample.step is None or sample.name not in MEASURES:
            return
        known = self._series.setdefault(rank, {})
        steps = known.setdefault(sample.name, deque(maxlen=KEPT))
        steps.append((sample.at_ms, sample.value))
        if sample.name == "local_ms":
            self._steps = max(self._steps, sample.step)

    def tracks(self, begun_ms: int) -> dict[int, dict[str, on.Track]]:
        """Give the latest steps of each rank, in seconds since the attempt began."""
        return {
            rank: {
                name: tuple(((at_ms - begun_ms) / 1000, value) for at_ms, value in steps)
                for name, steps in known.items()
            }
            for rank, known in self._series.items()
        }

    def anew(self) -> None:
        """Forget all: other workers go on."""
        self._series.clear()
        self._steps = self._judged_at = 0
        self.slow = None

    def look(
        self, job: Job, attempt: Attempt, now_ms: int, saves: Callable[[Attempt], bool]
    ) -> None:
        """Judge again, if enough has happened; `saves` says whether a restart loses little."""
        if len(self._series) < 2 or self._steps - self._judged_at < EVERY:
            return
        self._judged_at = self._steps
        judgement = judge(self._incident(job, attempt, now_ms, saves=saves(attempt)))
        diagnosis = judgement.diagnosis
        if diagnosis.cause not in NAMED:
            self.slow = None
            return
        decision = remedy(judgement)
        symptom = Symptom(
            name=SLOW,
            text=decision.text,
            since_ms=now_ms,
            ranks=judgement.finding.ranks,
            evidence=diagnosis.evidence,
        )
        self.slow = Verdict(symptom, decision)

    def _incident(self, job: Job, attempt: Attempt, now_ms: int, *, saves: bool) -> on.Incident:
        begun_ms = attempt.released_at_ms or attempt.started_at_ms
        spec = job.spec
        return on.Incident(
            step=spec.name,
            now_s=(now_ms - begun_ms) / 1000,
            request=on.Request(
                workers_min=spec.workers_min,
                workers_max=sum(group.count_max for group in spec.groups),
                elastic=spec.elastic or saves,
                idempotent=spec.idempotent,
            ),
            workers=tuple(on.WorkerSeen(rank=one.rank, node=one.node) for one in attempt.workers),
            worker_samples={
                rank: {name: _points(steps, begun_ms) for name, steps in known.items()}
                for rank, known in self._series.items()
            },
            replaced=tuple(
                on.Replaced(rank=rank, node=node, at_s=(at_ms - begun_ms) / 1000)
                for rank, node, at_ms in job.replaced
            ),
        )


def _points(steps: Steps, begun_ms: int) -> on.Series:
    return tuple(
        on.Point(place, (at_ms - begun_ms) / 1000, value)
        for place, (at_ms, value) in enumerate(steps)
    )
