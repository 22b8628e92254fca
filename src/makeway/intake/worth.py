"""Read what a job is allowed after it has failed, and when it is not worth it any more.

Takes:   the fields of a job as they are written
Gives:   the fields of a `JobSpec` that they mean; what is absent is left out
Raises:  InvalidInput, with the place
"""

from __future__ import annotations

from collections.abc import Mapping

from makeway.intake import shape as of
from makeway.intake.failures import rules_of
from makeway.intake.located import Item
from makeway.intake.shape import Shape
from makeway.model.job import OnHopeless, WorkerGroup
from makeway.model.resources import MEMORY
from makeway.model.workflow import Goal

KEYS = ("max_memory", "goal", "min_rate", "on_hopeless", "on_failure")

GOAL = Shape("a goal", lambda **known: Goal(**{"metric": "", **known}), {
    "metric": ("metric", of.free_text), "mode": ("mode", of.word("max", "min")),
    "target": ("target", of.any_number), "min_delta": ("min_delta", of.number),
})  # fmt: skip


def worth_of(fields: Mapping[str, Item], groups: tuple[WorkerGroup, ...]) -> dict[str, object]:
    """Read these keys; `groups` are what the workers ask for at first."""
    known: dict[str, object] = {}
    if "max_memory" in fields:
        most = of.size(fields["max_memory"], "max_memory")
        asked = max((group.per_worker[MEMORY] for group in groups), default=0)
        if most < max(1, asked):
            less = "it is less than the memory that is asked for" if most else "it must be some"
            raise fields["max_memory"].wrong(f"max_memory: {less}")
        known["max_memory_bytes"] = most
    if "goal" in fields:
        goal = GOAL.read(fields["goal"])
        if not goal.metric:
            raise fields["goal"].wrong("a goal needs a metric")
        known["goal"] = goal
    if "min_rate" in fields:
        known["min_rate"] = fields["min_rate"].number("min_rate")
    if "on_hopeless" in fields:
        word = fields["on_hopeless"].one_of(tuple(OnHopeless), "on_hopeless")
        known["on_hopeless"] = OnHopeless(word)
    if "on_failure" in fields:
        known["on_failure"] = rules_of(fields["on_failure"], "on_failure")
    return known
