"""Take the best candidates by a metric: the decision behind `mw.select_top`.

The threshold is inclusive and compares the full-precision final value. A candidate that failed or
has no such number is left out, and the ranking says so: every candidate is in it, losers too.

Takes:   candidates   key -> its execution, in the order of the workflow
Gives:   Selection; fewer than k chosen is legal, none at all is for the caller to judge
Holds:   ties break by key · values above 1 against a minimum up to 1 are an error (90 is not 0.90)
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from makeway.errors import InvalidInput
from makeway.model.workflow import Execution, Ranked, Selection, SelectTop


def select_top(select: SelectTop, candidates: Mapping[str, Execution]) -> Selection:
    """Rank the candidates and choose at most `k` of those that are good enough."""
    usable: list[tuple[float, str]] = []
    unusable: list[Ranked] = []
    for key, execution in candidates.items():
        why = _unusable(execution, select.metric)
        if why is None:
            usable.append((execution.metrics[select.metric], key))
        else:
            waits = not execution.phase.final
            unusable.append(
                Ranked(candidate=key, value=None, place=None, chosen=False, why=why, open=waits)
            )
    _check_scale(select, usable)
    sign = -1 if select.mode == "max" else 1
    usable.sort(key=lambda item: (sign * item[0], item[1]))
    ranking = [
        _ranked(select, value, key, place) for place, (value, key) in enumerate(usable, start=1)
    ]
    return Selection(
        metric=select.metric,
        k=select.k,
        minimum=select.minimum,
        ranking=(*ranking, *unusable),
    )


def _unusable(execution: Execution, metric: str) -> str | None:
    if not execution.phase.final:
        return "it has not ended yet"
    if not execution.phase.good:
        return f"it {execution.phase.told}"
    if metric not in execution.metrics:
        return f"it recorded no {metric}"
    value = execution.metrics[metric]
    return None if math.isfinite(value) else f"its {metric} is {value}"


def _check_scale(select: SelectTop, usable: list[tuple[float, str]]) -> None:
    if select.minimum is None or not 0 < select.minimum <= 1 or select.mode != "max":
        return
    for value, key in usable:
        if value > 1:
            problem = (
                f"{select.metric} is {value:g}, but the minimum is {select.minimum:g}: "
                "one of them is in per cent"
            )
            raise InvalidInput(problem, where=key)


def _ranked(select: SelectTop, value: float, key: str, place: int) -> Ranked:
    enough = select.minimum is None or (
        value >= select.minimum if select.mode == "max" else value <= select.minimum
    )
    chosen = enough and place <= select.k
    if chosen:
        why = f"place {place} of the {select.k} wanted"
    elif enough:
        why = f"good enough, but number {place}, after the {select.k} wanted"
    else:
        side = "below" if select.mode == "max" else "above"
        why = f"{side} the {'minimum' if select.mode == 'max' else 'maximum'} of {select.minimum:g}"
    return Ranked(candidate=key, value=value, place=place, chosen=chosen, why=why)
