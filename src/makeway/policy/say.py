"""Say amounts, classes and lists of them in sentences that people read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from makeway.model.job import WorkerGroup
from makeway.model.resources import CPU, GPU, MEMORY, Resources

# Who asked for 600MB reads "600 MB", who asked for 512MiB "512 MiB".
DECIMAL = (("GB", 10**9), ("MB", 10**6))
HOUR_MS = 3_600_000
BINARY = (("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10))


def needs(groups: Sequence[WorkerGroup]) -> str:
    """Say what a job needs to start: `needs 2 workers of 0.5 cpus and 600 MiB`."""
    parts = []
    for group in groups:
        worker = "worker" if group.count_min == 1 else "workers"
        name = f" ({group.name})" if len(groups) > 1 else ""
        asked = {kind: amount for kind, amount in group.per_worker.amounts.items() if amount}
        amounts = listed(quantity(kind, amount) for kind, amount in asked.items())
        parts.append(f"{group.count_min} {worker}{name}{amounts and f' of {amounts}'}")
    return f"needs {listed(parts)}"


def quantity(kind: str, amount: int) -> str:
    """Say an amount in the unit that people use; what does not come out even is rounded down."""
    if kind in {CPU, GPU}:
        unit = kind.removesuffix("_milli")
        return f"{_number(amount, 1000)} {unit if amount == 1000 else f'{unit}s'}"
    if kind == MEMORY:
        even = next((pair for pair in DECIMAL if amount >= pair[1] and amount % pair[1] == 0), None)
        unit, size = even or next((pair for pair in BINARY if amount >= pair[1]), ("bytes", 1))
        return f"{_number(amount, size)} {unit}"
    return f"{amount} {kind}"


def hours_of(kind: str, amount: int) -> str:
    """Say an amount of unit x ms: `100 gpu hours`."""
    if kind in {CPU, GPU}:
        return f"{_number(amount, 1000 * HOUR_MS)} {kind.removesuffix('_milli')} hours"
    return f"{quantity(kind, amount // HOUR_MS)} x 1 hour"


def days_of(span_ms: int) -> str:
    """Say a span of time in the largest unit that comes out even: `7 days`, `90 seconds`."""
    units = ((24 * HOUR_MS, "day"), (HOUR_MS, "hour"), (60_000, "minute"), (1000, "second"))
    for size, name in units:
        if span_ms % size == 0:
            return count_of(span_ms // size, name)
    return f"{span_ms} ms"


def are_free(kinds: Iterable[str], free: Resources) -> str:
    """Say how much is free of these kinds: `2 cpus and 1 gpu are free`."""
    amounts = [quantity(kind, free[kind]) for kind in kinds]
    one = len(amounts) == 1 and amounts[0].startswith("1 ")
    return f"{listed(amounts)} {'is' if one else 'are'} free"


def class_named(priority: int, classes: Mapping[str, int]) -> str:
    """Say the name of a class, or its number if it has none."""
    return next((name for name, number in classes.items() if number == priority), str(priority))


def count_of(number: int, thing: str) -> str:
    """Say `1 job`, `2 jobs`."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def listed(parts: Iterable[str]) -> str:
    """Say `a, b and c`."""
    *most, last = [*parts] or [""]
    return f"{', '.join(most)} and {last}" if most else last


def _number(amount: int, unit: int) -> str:
    whole, rest = divmod(amount, unit)
    digits = f"{rest * 1000 // unit:03}".rstrip("0")
    return f"{whole}.{digits}" if digits else str(whole)
