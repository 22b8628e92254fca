"""Tell a worker that is at work from one that is merely alive, by two clocks.

*Alive* runs as long as the process gives any sign; *progress* only when it comes further: a training
step, or any other report that something is done. A busy processor is no progress. Who comes no
further for longer than its own past allows is stuck, and so is a worker whose log says the same
error again and again, and little else, while nothing is done.

    steps     max(30 s, 5 x the slowest, 10 x the median); the first one has 10 min
    others    max(10 min, 3 x the median, 1.5 x the 99th percentile); the first report has 30 min
    section   what the program said that this part may take

In a gang all wait for the one that hangs: the worker with the lowest step is named. A program that
reports nothing and says no error is never judged.

Takes:   what is heard of the workers of one attempt, each with its instant in ms; no clock
Gives:   Symptom `stuck` with its evidence, or None
Cost:    O(1) a reading, but for a median of WINDOW reports; O(workers) a judgement
Source:  NVRx (safety factor 5); Unicron (3 x the mean)
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from statistics import median

import msgspec

from makeway.health.repeated import Errors, Repeated
from makeway.model.record import Evidence, Symptom

STEP_LEAST_MS = 30_000
FIRST_STEP_MS = 600_000
REPORT_LEAST_MS = 600_000
FIRST_REPORT_MS = 1_800_000
WINDOW = 200

# The same error so often, over so long, at such a pace, is no accident.
SAID_LEAST = 5
SAID_FOR_MS = 60_000
PACE_MS = 120_000
BUSY = 0.5  # of a processor: whoever uses that much may be at work


class Limit(msgspec.Struct, frozen=True):
    """How long a worker may come no further, since when that counts, and why so long."""

    ms: int
    since_ms: int
    why: str


class _Clock:
    """What is known of one worker."""

    __slots__ = (
        "alive_ms", "busy", "errors", "first_ms", "gaps", "last_ms", "section", "slowest_ms",
        "start_ms", "step", "used",
    )  # fmt: skip

    def __init__(self, start_ms: int) -> None:
        self.start_ms = start_ms
        self.alive_ms: int | None = None
        self.last_ms: int | None = None  # of its last progress
        self.first_ms: int | None = None  # how long the first took, with all that came before
        self.step: int | None = None
        self.gaps: deque[int] = deque(maxlen=WINDOW)
        self.slowest_ms = 0
        self.section: tuple[str, int, int] | None = None  # its name, since when, its limit
        self.errors = Errors()
        self.used: tuple[int, int] | None = None  # instant and CPU time at the last progress
        self.busy: float | None = None

    def further(self, at_ms: int) -> None:
        if self.last_ms is None:
            self.first_ms = at_ms - self.start_ms
        else:
            self.gaps.append(at_ms - self.last_ms)
            self.slowest_ms = max(self.slowest_ms, at_ms - self.last_ms)
        self.last_ms = at_ms
        self.alive_ms = at_ms
        self.errors.clear()
        self.used = self.busy = None

    def limit(self, *, awaited: bool) -> Limit | None:
        since_ms = self.start_ms if self.last_ms is None else self.last_ms
        if self.section is not None:
            name, begun_ms, limit_ms = self.section
            return Limit(limit_ms, max(since_ms, begun_ms), f"the limit of its section {name!r}")
        if self.last_ms is None:
            return (
                Limit(FIRST_STEP_MS, since_ms, "the limit of the first step") if awaited else None
            )
        ms, why = self._of_steps() if self.step is not None else self._of_reports()
        return Limit(ms, since_ms, why)

    def _of_steps(self) -> tuple[int, str]:
        if not self.gaps:
            first_ms = self.first_ms or 0
            return min(FIRST_STEP_MS, max(STEP_LEAST_MS, 10 * first_ms)), "10 times the first step"
        middle_ms = int(median(self.gaps))
        return max(
            (STEP_LEAST_MS, "the least limit of a step"),
            (5 * self.slowest_ms, f"5 times the slowest step of {_span(self.slowest_ms)}"),
            (10 * middle_ms, f"10 times the median step of {_span(middle_ms)}"),
        )

    def _of_reports(self) -> tuple[int, str]:
        if not self.gaps:
            return FIRST_REPORT_MS, "the limit of the first reports"
        middle_ms, gaps = int(median(self.gaps)), sorted(self.gaps)
        late_ms = gaps[min(len(gaps) - 1, len(gaps) * 99 // 100)]
        return max(
            (REPORT_LEAST_MS, "the least limit of who reports no steps"),
            (3 * middle_ms, f"3 times the median of {_span(middle_ms)} between two reports"),
            (late_ms * 3 // 2, f"1.5 times the {_span(late_ms)} between two late reports"),
        )


class Watch:
    """The clocks of one attempt; see the module. `at_ms` is when its workers were let go."""

    def __init__(self, ranks: Iterable[int], at_ms: int) -> None:
        """Begin to watch these workers."""
        self._clocks = {rank: _Clock(at_ms) for rank in ranks}
        self._awaited = False

    # ── what is heard ─────────────────────────────────────────────────────────────────────────────

    def expect_steps(self) -> None:
        """Note that the program will report steps, so that the first one has its limit too."""
        self._awaited = True

    def joined(self, rank: int, at_ms: int) -> None:
        """Watch one more worker, or another one of the same rank."""
        self._clocks[rank] = _Clock(at_ms)

    def gone(self, rank: int) -> None:
        """Watch a worker no longer."""
        self._clocks.pop(rank, None)

    def paused(self, at_ms: int) -> None:
        """Let the time until now count for nobody: a resize, or nobody was there to listen."""
        for clock in self._clocks.values():
            clock.start_ms = at_ms
            if clock.last_ms is not None:
                clock.last_ms = at_ms
            if clock.section is not None:
                name, _, limit_ms = clock.section
                clock.section = (name, at_ms, limit_ms)
            clock.errors.clear()

    def alive(self, rank: int, at_ms: int) -> None:
        """Note a sign of life."""
        clock = self._clocks.get(rank)
        if clock is not None:
            clock.alive_ms = at_ms

    def stepped(self, rank: int, at_ms: int, step: int) -> None:
        """Note a training step; one that is no further than the last is no progress."""
        clock = self._clocks.get(rank)
        if clock is not None and (clock.step is None or step > clock.step):
            clock.step = step
            clock.further(at_ms)

    def reported(self, rank: int, at_ms: int) -> None:
        """Note any other progress: a part of the whole that is done, a checkpoint, bytes read."""
        clock = self._clocks.get(rank)
        if clock is not None:
            clock.further(at_ms)

    def entered(self, rank: int, at_ms: int, name: str, limit_ms: int) -> None:
        """Note that a worker is in a part of its program that has a limit of its own."""
        clock = self._clocks.get(rank)
        if clock is not None:
            clock.section = (name, at_ms, limit_ms)

    def left(self, rank: int, at_ms: int) -> None:
        """Note that a worker is through with that part; it is no step, but it is progress."""
        clock = self._clocks.get(rank)
        if clock is not None and clock.section is not None:
            clock.section = None
            clock.last_ms = at_ms if clock.last_ms is not None else None
            clock.start_ms = at_ms
            clock.errors.clear()

    def said(self, rank: int, at_ms: int, line: str) -> None:
        """Note a line of a worker's log."""
        clock = self._clocks.get(rank)
        if clock is not None:
            clock.errors.hear(at_ms, line)

    def used(self, rank: int, at_ms: int, cpu_ms: int) -> None:
        """Note how much processor time a worker has used since its start."""
        clock = self._clocks.get(rank)
        if clock is None:
            return
        if clock.used is None or cpu_ms < clock.used[1]:
            clock.used = (at_ms, cpu_ms)
        elif at_ms > clock.used[0]:
            clock.busy = (cpu_ms - clock.used[1]) / (at_ms - clock.used[0])

    # ── what follows ──────────────────────────────────────────────────────────────────────────────

    def judge(self, now_ms: int) -> Symptom | None:
        """Say whether a worker is stuck now, and which; None if nobody is."""
        limits = self._limits()
        late = {rank: limit for rank, limit in limits.items() if now_ms - limit.since_ms > limit.ms}
        if late:
            return self._late(late, now_ms)
        for rank, clock in self._clocks.items():
            worst = clock.errors.worst()
            if worst is not None and _goes_on(worst, clock, now_ms):
                text = f"rank {rank} says the same error again and again: {_said(worst)}"
                return self._symptom(text, (rank,), worst.first_ms, now_ms)
        return None

    def due_ms(self) -> int | None:
        """Give the first instant at which a clock runs out, if none is heard of before."""
        return min((one.since_ms + one.ms + 1 for one in self._limits().values()), default=None)

    def _limits(self) -> dict[int, Limit]:
        nobody = all(clock.last_ms is None for clock in self._clocks.values())
        found = {
            rank: clock.limit(awaited=self._awaited and nobody)
            for rank, clock in self._clocks.items()
        }
        return {rank: limit for rank, limit in found.items() if limit is not None}

    def _late(self, late: dict[int, Limit], now_ms: int) -> Symptom:
        """Name those who are furthest behind: the others wait for them."""
        steps = {rank: self._clocks[rank].step for rank in late}
        least = min((-1 if step is None else step) for step in steps.values())
        behind = tuple(
            rank for rank, step in steps.items() if (-1 if step is None else step) == least
        )
        first = min(behind, key=lambda rank: (late[rank].since_ms, rank))
        limit, step = late[first], self._clocks[first].step
        what = "no progress" if step is None else f"no step after {step}"
        who = f"rank {first}" if len(behind) == 1 else f"{len(behind)} workers"
        text = (
            f"{who}: {what} for {_span(now_ms - limit.since_ms)}, "
            f"more than {_span(limit.ms)} ({limit.why})"
        )
        return self._symptom(text, behind, limit.since_ms, now_ms)

    def _symptom(self, text: str, ranks: tuple[int, ...], since_ms: int, now_ms: int) -> Symptom:
        evidence = [one for rank in ranks[:3] for one in self._evidence(rank, now_ms)]
        said = [one.text for one in evidence if one.ref.endswith(".log")]
        if said and "the same error" not in text:
            text = f"{text}; {said[0]}"
        return Symptom(
            name="stuck", text=text, since_ms=since_ms, ranks=ranks, evidence=tuple(evidence)
        )

    def _evidence(self, rank: int, now_ms: int) -> Iterable[Evidence]:
        clock, where = self._clocks[rank], f"workers[{rank}]"
        if clock.alive_ms is not None:
            ago = _span(now_ms - clock.alive_ms)
            yield Evidence(text=f"rank {rank} gave a sign of life {ago} ago", ref=f"{where}.alive")
        if clock.last_ms is not None:
            at = "" if clock.step is None else f", at step {clock.step}"
            ago = _span(now_ms - clock.last_ms)
            yield Evidence(text=f"its last progress was {ago} ago{at}", ref=f"{where}.progress")
        if clock.busy is not None:
            text = f"it has used {clock.busy:.0%} of a processor since"
            yield Evidence(text=text, ref=f"{where}.cpu")
        worst = clock.errors.worst()
        if worst is not None and worst.count >= SAID_LEAST:
            yield Evidence(text=f"the same error {_said(worst)}", ref=f"{where}.log")


def _goes_on(worst: Repeated, clock: _Clock, now_ms: int) -> bool:
    """Say whether an error is still said, and hardly any news, by a worker that does little else."""
    for_ms = worst.last_ms - worst.first_ms
    if worst.count < SAID_LEAST or for_ms < SAID_FOR_MS or worst.news >= worst.count:
        return False
    pace_ms = for_ms // (worst.count - 1)
    fresh = now_ms - worst.last_ms <= max(STEP_LEAST_MS, 3 * pace_ms)
    return pace_ms <= PACE_MS and fresh and (clock.busy is None or clock.busy < BUSY)


def _said(worst: Repeated) -> str:
    return f"{worst.count} times in {_span(worst.last_ms - worst.first_ms)}: {worst.text}"


def _span(ms: int) -> str:
    """Say how long: `0.8 s`, `45 s`, `12 min`."""
    if ms < 10_000:
        return f"{ms / 1000:.2g} s"
    return f"{ms // 1000} s" if ms < FIRST_STEP_MS else f"{ms // 60_000} min"
