"""Say what was measured on the way; `make faults` shows it."""

from __future__ import annotations


def say(what: str, **figures: float) -> None:
    """Print one line of figures."""
    text = ", ".join(f"{name} {figure:.4g}" for name, figure in figures.items())
    print(f"\n    {what}: {text}")
