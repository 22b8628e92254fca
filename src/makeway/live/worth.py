"""Judge as they run whether it is worth it that attempts go on, by what they report.

The points of an attempt's own metric and of its progress are kept as they are heard, thinned when
they become many; so are the latest readings of what may slow it and can be mended. Whenever there is
news the rules of `health` look at them as they would at a document. A verdict counts once it still
holds some seconds later; three evaluations are the least, as everywhere.

All of that together may cost a thousandth of a processor: what a look took is drawn from an
allowance which grows at that rate, and whoever was not looked at for the longest time is next.

Takes:   samples of the workers; what is believed; the store, for what was there before this controller
Gives:   a symptom (`not_improving`, `too_slow`, `converged`) with what is decided about it
Cost:    POINTS_MAX points a series; a look 1 to 3 ms, none where nothing is new
Source:  bench/worth.py for the share of a processor
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable

import msgspec

from makeway.engine.incident import others_waiting, running_of
from makeway.engine.state import State
from makeway.engine.worth import wanted
from makeway.errors import MakewayError
from makeway.health.judge import judge
from makeway.health.remedy import remedy
from makeway.live.pace import Pace, Verdict
from makeway.model.incident import Phase, Seen, Track
from makeway.model.job import Attempt, Job
from makeway.model.phase import AttemptPhase
from makeway.model.record import CONVERGED, NOT_IMPROVING, TOO_SLOW, Cause, Sample, Symptom
from makeway.store.database import Database
from makeway.store.seen import Wanted, past_runs_of, seen_of

POINTS_MAX = 400
READINGS_KEPT = 60
HOLDS_MS = 1_000
AGAIN_MS = 60_000  # who began again on room that nobody wanted is left alone for so long
PROGRESS = "progress"
READINGS = {"system/cpu_percent": "cpu_percent", "input_mb_s": "input_mb_s"}
NAMES = {Cause.NOT_IMPROVING: NOT_IMPROVING, Cause.TOO_SLOW: TOO_SLOW}
SHARE = 1_000  # of a processor, one part of so many
SAVED_NS = 100_000_000  # the allowance at its fullest


class _Series(msgspec.Struct, kw_only=True, eq=False):
    """The points of one name from the lowest rank that tells it, every `stride`-th of them."""

    rank: int
    points: list[tuple[int, float]] = []
    latest: tuple[int, float] | None = None
    stride: int = 1
    left: int = 0

    def take(self, at_ms: int, value: float, most: int) -> None:
        """Take a point; what comes late or twice is none."""
        if self.latest is not None and at_ms <= self.latest[0]:
            return
        self.latest = (at_ms, value)
        if self.left:
            self.left -= 1
            return
        self.points.append(self.latest)
        self.left = self.stride - 1
        if len(self.points) > most:
            self.points = self.points[::2]
            self.stride *= 2

    def track(self, begun_ms: int) -> Track:
        """Give it in seconds since the attempt began; the newest point is always there."""
        points = self.points
        if self.latest is not None and points[-1:] != [self.latest]:
            points = [*points, self.latest]
        return tuple(((at_ms - begun_ms) / 1000, value) for at_ms, value in points)


class Course:
    """What one attempt has reported so far, and what was made of it."""

    def __init__(self, job: Job) -> None:
        """Know what the job is to reach."""
        goal = job.spec.goal
        self._told = {PROGRESS} if goal is None else {PROGRESS, goal.metric}
        self._series: dict[str, _Series] = {}
        self._verdict = ""
        self._since_ms = 0
        self.before = Seen()  # what the store knew of the attempt, and of those that went before
        self.phase: Phase | None = None
        self.asked = False
        self.news = False
        self.crowded = False
        self.looked_ms = 0
        self.found: Verdict | None = None
        self.moves = False  # it yields, and somebody could take its room

    @property
    def reports(self) -> bool:
        """Say whether there is anything to judge."""
        return not self._told.isdisjoint(self._series)

    def take(self, rank: int, sample: Sample) -> None:
        """Take a sample, if it is one that counts."""
        told, name = sample.name in self._told, READINGS.get(sample.name, sample.name)
        if not told and sample.name not in READINGS:
            return
        known = self._series.get(name)
        if known is None or rank < known.rank:
            known = self._series[name] = _Series(rank=rank)
        if rank == known.rank:
            known.take(sample.at_ms, sample.value, POINTS_MAX)
            self.news = self.news or told

    def remember(self, seen: Seen, begun_ms: int) -> None:
        """Take what was reported before anybody listened, out of the store."""
        for name in self._told & seen.samples.keys():
            heard = self._series.get(name)
            older = _Series(rank=0 if heard is None else heard.rank)
            for at_s, value in seen.samples[name]:
                older.take(begun_ms + round(at_s * 1000), _number(value), POINTS_MAX)
            for at_ms, number in () if heard is None else heard.points:
                older.take(at_ms, number, POINTS_MAX)
            self._series[name] = older
        self.before, self.news = seen, True

    def due(self, now_ms: int, *, crowded: bool) -> bool:
        """Say whether it may be judged otherwise than it was."""
        if not self.reports:
            return False
        pending = self._verdict and self.found is None and now_ms - self._since_ms >= HOLDS_MS
        yields = self.found is not None and self.found.decision is not None
        return bool(self.news or pending or crowded != self.crowded or (yields and crowded))

    def seen(self, begun_ms: int, pace: Pace) -> Seen:
        """Give what is known of it, for the rules."""
        samples = {name: one.track(begun_ms) for name, one in self._series.items()}
        for name in READINGS.values():
            if name in samples:
                samples[name] = samples[name][-READINGS_KEPT:]
        return Seen(
            samples=samples,
            worker_samples=pace.tracks(begun_ms),
            past_runs=self.before.past_runs,
            phase=self.phase,
        )

    def judged(self, verdict: str, found: Verdict | None, now_ms: int) -> None:
        """Keep what was found; it counts once it has held for a while."""
        if verdict != self._verdict:
            self._verdict, self._since_ms = verdict, now_ms
        held = verdict and now_ms - self._since_ms >= HOLDS_MS
        self.found = found if held else None


class Scales:
    """Whoever weighs the running attempts of one controller; see the module."""

    def __init__(
        self, database: Database | None, used_ns: Callable[[], int] = time.thread_time_ns
    ) -> None:
        """Take the store to be asked for what was before, and what tells how much time was used."""
        self._database, self._used_ns = database, used_ns
        self._allowed_ns, self._at_ms = SAVED_NS, 0

    def look(
        self, state: State, courses: Iterable[tuple[Attempt, Course, Pace]], now_ms: int
    ) -> None:
        """Weigh who has news, as far as the allowance goes."""
        passed_ms = max(0, now_ms - self._at_ms)
        self._allowed_ns = min(SAVED_NS, self._allowed_ns + passed_ms * 1_000_000 // SHARE)
        self._at_ms = now_ms
        if self._allowed_ns <= 0:
            return
        begun_ns = self._used_ns()
        known = [one for one in courses if one[1].reports]
        if not known:
            return
        crowded = others_waiting(state, "") > 0
        due = [one for one in known if one[1].due(now_ms, crowded=crowded)]
        for attempt, course, pace in sorted(due, key=lambda one: one[1].looked_ms):
            if self._allowed_ns <= 0:
                return
            course.looked_ms, course.news, course.crowded = now_ms, False, crowded
            self._weigh(state, attempt, course, pace, now_ms)
            now_ns = self._used_ns()
            self._allowed_ns, begun_ns = self._allowed_ns - (now_ns - begun_ns), now_ns

    def _weigh(
        self, state: State, attempt: Attempt, course: Course, pace: Pace, now_ms: int
    ) -> None:
        if not course.asked:
            course.asked = True
            self._ask(state.jobs[attempt.job], attempt, course)
        begun_ms = attempt.released_at_ms or attempt.started_at_ms
        incident = running_of(state, attempt, course.seen(begun_ms, pace), now_ms)
        judgement = judge(incident)
        diagnosis = judgement.diagnosis
        verdict = NAMES.get(diagnosis.cause, "")
        decision = remedy(judgement) if verdict else None
        if diagnosis.cause is Cause.NONE and judgement.judged.outlook.verdict == CONVERGED:
            # Only the program knows what it still has to hand over, so nobody ends it for that.
            verdict = CONVERGED
        text = judgement.judged.outlook.text if decision is None else decision.text
        symptom = Symptom(
            name=verdict, text=text, since_ms=now_ms, evidence=judgement.judged.evidence
        )
        course.judged(verdict, Verdict(symptom, decision) if verdict else None, now_ms)
        course.moves = _moves(state, attempt, course.found, now_ms - begun_ms)

    def _ask(self, job: Job, attempt: Attempt, course: Course) -> None:
        """Read what went before, once."""
        if self._database is None:
            return
        begun_ms = attempt.released_at_ms or attempt.started_at_ms
        wanted_of = Wanted(job=job.id, number=attempt.number, begun_ms=begun_ms)
        with contextlib.suppress(MakewayError):
            seen = seen_of(self._database, wanted_of)
            past = past_runs_of(self._database, job.spec)
            course.remember(msgspec.structs.replace(seen, past_runs=past), begun_ms)


def _moves(state: State, attempt: Attempt, found: Verdict | None, ran_ms: int) -> bool:
    """Say whether an attempt is to leave for somebody who wants its room."""
    if found is None or found.decision is None or found.decision.action != "yield":
        return False
    spec = state.jobs[attempt.job].spec
    begun_anew = spec.yielded_from is not None and ran_ms < AGAIN_MS
    alive = attempt.phase is AttemptPhase.RUNNING
    return alive and not begun_anew and wanted(state, attempt)


def _number(value: float | None) -> float:
    return float("nan") if value is None else value
