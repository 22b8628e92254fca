"""Write amounts in the names and units of people: `cpus` and not `cpu_milli`, 0.5 and not 500."""

from __future__ import annotations

from makeway.model.resources import CPU, GPU, MEMORY

NAMES = {CPU: "cpus", GPU: "gpus", MEMORY: "memory"}


def in_units(kind: str, amount: float) -> float:
    """Write an amount in people's units: processors, devices, bytes."""
    return amount / 1000 if kind in (CPU, GPU) else amount
