"""Say whether it is worth it to go on: whether its metric still rises, and it ends in time.

On the last w = max(8, 0.2 B) of n evaluations of a budget B, once there are 0.2 B + w of them:

    declining   p(rising) < 0.05, and the median of the last 3 is below the best before, less δ
    plateau     p(rising) < 0.90, and the best of the window is below the best before, plus δ

The best is the median of the best three. A plateau at the target is `converged`: a success. Who has
died is judged by less, since being wrong costs less: three evaluations, and the second half's
median not δ above the first half's. The pace is the median of the last six progress reports.

Takes:   Scene
Gives:   Outlook; `judged` also where that stands in the document
Holds:   no verdict from fewer than three evaluations or reports · healthy curves are not flagged
Source:  calibrated by simulation, 1,000 curves of each kind (tests/health/test_outlook.py)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from statistics import median

import msgspec

from makeway.health.rules.finding import fact, span_ref, when
from makeway.health.rules.results import slow_device
from makeway.health.rules.scene import Scene
from makeway.health.rules.straggler import slow_workers
from makeway.health.trend import rising
from makeway.model.incident import Incident, Series
from makeway.model.record import Evidence, Outlook

LEAST, WINDOW, PART = 3, 8, 0.2
BUDGET = 40  # where nothing tells it
FALLS, RISES = 0.05, 0.90
DELTA = 0.005
PACES, PACES_MIN = 6, 3
MIN_RATE = 0.025  # of the whole in an hour, and only while others wait
LONGER = 10
IDLE_PERCENT, STARVED_PART = 30.0, 0.1


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """An outlook with its evidence; `gentle`: only as `yield`, since nobody set a limit."""

    outlook: Outlook
    evidence: tuple[Evidence, ...] = ()
    gentle: bool = False


def outlook_of(scene: Scene) -> Judged:
    """Judge the metric first, then the pace."""
    metric = _metric(scene)
    if metric is not None and metric.outlook.verdict in ("converged", "not_improving"):
        return metric
    pace = _pace(scene.incident)
    if pace is not None and pace.outlook.verdict == "too_slow":
        return pace
    return (
        metric or pace or _judged("unknown", "it reports neither a metric with a goal nor progress")
    )


# ── the metric ────────────────────────────────────────────────────────────────────────────────────


def _metric(scene: Scene) -> Judged | None:
    incident, goal = scene.incident, scene.incident.goal
    if goal is None or goal.mode is None:
        return None
    series = tuple(p for p in incident.series(goal.metric) if math.isfinite(p.value))
    count = len(series)
    if not count:
        return None
    if count < LEAST:
        return _judged("unknown", f"{count} evaluations of {goal.metric}; {LEAST} are the least")
    sign = 1.0 if goal.mode == "max" else -1.0
    values = [sign * point.value for point in series]
    delta = goal.min_delta if goal.min_delta is not None else _delta(values, goal.mode)
    word = _window(values, _budget(incident, series), delta)
    if not scene.running and word in (None, "rises"):
        half = count // 2
        risen = median(values[half:]) >= median(values[:half]) + delta
        word = "rises" if risen else "did not rise"
    best = max(values)
    shown = f"{goal.metric} went from {series[0].value:g} to {series[-1].value:g}"
    told = (fact(f"{shown} in {count} evaluations",
                 span_ref(f"samples.{goal.metric}", series[0].index, series[-1].index)),)  # fmt: skip
    if word in ("plateau", "declining", "did not rise"):
        target = None if goal.target is None else sign * goal.target
        if target is not None and _robust(values) >= target and word != "declining":
            text = f"{shown}: it has reached its goal of {goal.target:g}, and rises no more"
            return _judged("converged", text, told)
        worse = word == "declining" or values[-1] < values[0] - delta
        said = "gets worse" if worse else "does not get better any more"
        return _judged("not_improving", f"{shown}: it {said} (best {sign * best:g})", told)
    if word is None:
        return _judged("unknown", f"too few evaluations of {goal.metric} ({count}) to say")
    return _judged("promising", f"{shown}, and still gets better", told)


def _window(values: Sequence[float], budget: float, delta: float) -> str | None:
    """Judge the last evaluations against those before; None where there are too few."""
    count = len(values)
    window = math.ceil(max(WINDOW, PART * budget))
    if count < PART * budget + window or count <= window:
        return None
    before, tail = values[:-window], values[-window:]
    likely, best = rising(tail), _robust(before)
    if likely < FALLS and median(tail[-3:]) < best - delta:
        return "declining"
    if likely < RISES and _robust(tail) < best + delta:
        return "plateau"
    return "rises"


def _robust(values: Sequence[float]) -> float:
    """Give the best, without being deceived by one lucky evaluation."""
    return median(sorted(values)[-3:])


def _budget(incident: Incident, series: Series) -> float:
    """Estimate how many evaluations there will be, by how much was done at the last one."""
    count = len(series)
    progress = incident.series("progress")
    done = [one.value for one in progress if one.at_s <= series[-1].at_s] or [
        one.value for one in progress[-1:]
    ]
    if done and 0 < done[-1] <= 1:
        return max(float(count), count / done[-1])
    return float(max(count, BUDGET))


def _delta(values: Sequence[float], mode: str) -> float:
    """Give half a point of a hundred, on the scale that the metric seems to have."""
    most = max(abs(value) for value in values)
    if mode == "max":
        return DELTA if most <= 1.5 else 100 * DELTA if most <= 150 else most * DELTA
    return DELTA * most


# ── the pace ──────────────────────────────────────────────────────────────────────────────────────


def rate_of(incident: Incident) -> float | None:
    """Give the pace as a part of the whole in a second; None if there are too few reports."""
    series = incident.series("progress")
    if len(series) < LEAST:
        return None
    points = [(one.at_s, one.value) for one in series]
    if points[0][0] > 0:
        points.insert(0, (0.0, _begun(incident, points[0][1])))
    paces = [
        (later[1] - early[1]) / (later[0] - early[0])
        for early, later in pairwise(points)
        if later[0] > early[0]
    ]
    return max(0.0, median(paces[-PACES:])) if len(paces) >= PACES_MIN else None


def _begun(incident: Incident, first: float) -> float:
    saved = [past.checkpoint for past in incident.history if past.checkpoint is not None]
    return min(max(saved, default=0.0), first)


def _pace(incident: Incident) -> Judged | None:
    series = incident.series("progress")
    if not series:
        return None
    rate = rate_of(incident)
    if rate is None:
        return _judged("unknown", f"too few progress reports ({len(series)}) to tell its pace")
    last = series[-1]
    left_s = (1 - last.value) / rate if rate > 0 else math.inf
    hourly = rate * 3600
    more = "never at this pace" if rate <= 0 else f"another {when(left_s)}"
    shown = f"{100 * hourly:.3g} % an hour, {more}"
    told = (fact(shown, span_ref("samples.progress", series[0].index, last.index)),)
    why, gentle = _why_slow(incident, hourly, left_s, last.value)
    if why:
        fixed = _mended(incident)
        if fixed:
            return _judged("unknown", f"{shown}; but {fixed[0].text}", (*told, *fixed))
        return Judged(
            outlook=Outlook(verdict="too_slow", text=f"{shown}: {why}"),
            evidence=told,
            gentle=gentle,
        )
    return _judged("promising", shown, told)


def _why_slow(incident: Incident, hourly: float, left_s: float, done: float) -> tuple[str, bool]:
    """Say why a pace is too slow, and whether nobody had set a limit."""
    request, cluster = incident.request, incident.cluster
    if done >= 1:
        return "", False
    deadline_s = cluster.deadline_in_s
    if deadline_s is not None and left_s > deadline_s:
        return f"its deadline is in {when(max(0.0, deadline_s))}", False
    p90_s = incident.past_runs.p90_s
    if p90_s is not None and left_s > LONGER * p90_s:
        return f"that is more than {LONGER} times what it takes ({when(p90_s)})", False
    if request.min_rate is not None:
        if request.min_rate > 0 and hourly < request.min_rate and cluster.waiting != 0:
            return f"it must do {100 * request.min_rate:g} % an hour", False
    elif hourly < MIN_RATE and (cluster.waiting or 0) > 0 and deadline_s is None and p90_s is None:
        return f"less than {100 * MIN_RATE:g} % an hour, and {cluster.waiting} others wait", True
    return "", False


def _mended(incident: Incident) -> tuple[Evidence, ...]:
    """Find what makes it slow and can be mended: a worker, its input, its machine, a checkpoint."""
    slow = slow_workers(incident)
    if slow:
        ref = f"worker_samples.{slow[0].rank}.{slow[0].measure}"
        return (fact(f"rank {slow[0].rank} slows it", ref),)
    return starved(incident) or slow_device(incident) or busy_saving(incident)


def starved(incident: Incident) -> tuple[Evidence, ...]:
    """Find processors that idle while little is read."""
    cpu, read = incident.series("cpu_percent"), incident.series("input_mb_s")
    if not cpu or not read:
        return ()
    idle = median(one.value for one in cpu[-PACES:])
    now, most = median(one.value for one in read[-PACES:]), max(one.value for one in read)
    if idle >= IDLE_PERCENT or (now >= 1.0 and now >= STARVED_PART * most):
        return ()
    return (
        fact(f"it reads {now:.3g} MB/s", span_ref("samples.input_mb_s", read[-PACES:][0].index,
                                                  read[-1].index)),
        fact(f"its processors are at {idle:.3g} %", span_ref("samples.cpu_percent",
                                                             cpu[-PACES:][0].index, cpu[-1].index)),
    )  # fmt: skip


def busy_saving(incident: Incident) -> tuple[Evidence, ...]:
    """Find that it spends its time on a checkpoint."""
    phase, now_s = incident.phase, incident.end_s
    if phase is None or phase.since_s is None or now_s is None:
        return ()
    if "checkpoint" not in (phase.name or "").lower() or now_s - phase.since_s < 60:
        return ()
    return (fact(f"it writes a checkpoint since {when(phase.since_s)}", "phase"),)


def _judged(verdict: str, text: str, evidence: tuple[Evidence, ...] = ()) -> Judged:
    return Judged(outlook=Outlook(verdict=verdict, text=text), evidence=evidence)
