"""Say what a condition of a rule may ask of the attempt that ended, by name: `last.memory_peak`.

Takes:   Judgement; the names that a condition has
Gives:   a value by name; None: nothing is known of it
Source:  the names are those of `model.ruling.KINDS`, and docs/failure-rules.md explains each
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from statistics import fmean, median

from makeway.expression import Value
from makeway.health.judge import Judgement
from makeway.health.rules.memory import peak_of
from makeway.health.rules.scene import Death
from makeway.model.incident import Series
from makeway.model.record import Cause

METRICS = "metrics."


def _trend_of(values: list[float]) -> float:
    """Say how much more the later half is than the earlier one; 0 where there is but one value."""
    half = len(values) // 2
    return median(values[-half:]) - median(values[:half]) if half else 0.0


SUMS: dict[str, Callable[[list[float]], float]] = {
    "first": lambda values: values[0],
    "last": lambda values: values[-1],
    "min": min,
    "max": max,
    "mean": fmean,
    "trend": _trend_of,
}


def values_of(judgement: Judgement, names: Iterable[str]) -> dict[str, Value | None]:
    """Give the values of these names."""
    wanted = {name.removeprefix("last.") for name in names}
    known = _known(judgement)
    return {
        f"last.{name}": _metric(judgement, name) if name.startswith(METRICS) else known.get(name)
        for name in wanted
    }


def _known(judgement: Judgement) -> dict[str, Value | None]:
    incident, diagnosis = judgement.scene.incident, judgement.diagnosis
    failed = [past for past in incident.history if past.cause is not Cause.PREEMPTED]
    progress, limit, peak = (
        incident.series("progress"), incident.request.memory_bytes, peak_of(incident),
    )  # fmt: skip
    return {
        "attempt": 1 + len(incident.history),
        "failures": len(failed),
        "same": sum(past.cause is diagnosis.cause for past in failed),
        "duration": incident.end_s,
        "memory_limit": limit, "limit": limit,
        "memory_peak": peak, "rss_peak": peak,
        "progress": progress[-1].value if progress else None,
        "checkpoint": incident.checkpoint.progress,
        "rank": diagnosis.rank,
        "node": judgement.scene.node,
        "cause": diagnosis.cause.value,
        "class": diagnosis.cause_class.value,
        "confidence": diagnosis.confidence,
        "outlook": judgement.judged.outlook.verdict,
        **_of_death(judgement.scene.first),
    }  # fmt: skip


def _of_death(death: Death | None) -> dict[str, Value | None]:
    if death is None:
        return {}
    error = death.error
    return {
        "exit_code": death.code,
        "signal": death.by,
        "errno": None if error is None else error.errno,
        "exception": None if error is None else error.type.rpartition(".")[2] or None,
        "message": None if error is None else error.message,
    }


def _metric(judgement: Judgement, name: str) -> float | None:
    """Give the last value of a metric, or what its name ends with: its least, its trend."""
    incident, metric = judgement.scene.incident, name.removeprefix(METRICS)
    series: Series = incident.series(metric)
    total = SUMS["last"]
    if not series and "." in metric:
        metric, _, kind = metric.rpartition(".")
        series, total = incident.series(metric), SUMS.get(kind, total)
        if kind not in SUMS:
            return None
    values = [point.value for point in series]
    return total(values) if values else None
