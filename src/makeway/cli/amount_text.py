"""Write amounts of resources for people: `4 cpus, 16 GiB, 2 gpus`."""

from __future__ import annotations

from collections.abc import Mapping

from makeway.model.units import size_text


def amounts_text(amounts: Mapping[str, float]) -> str:
    """Write amounts by kind; what there is none of is left out."""
    return ", ".join(_amount(kind, amount) for kind, amount in amounts.items() if amount)


def _amount(kind: str, amount: float) -> str:
    if kind == "memory":
        return size_text(int(amount))
    if amount == 1 and kind in ("cpus", "gpus"):
        return f"1 {kind[:-1]}"
    return f"{amount:g} {kind}"
