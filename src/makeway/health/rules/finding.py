"""Describe what a rule found: a cause, how strong its evidence is, and what follows for the retry.

The tiers are the order in which evidence is believed. A finding that is `vague` says how something
ended and not why (a signal, an exit code): it gives way to any that says why, however weak.
"""

from __future__ import annotations

from enum import IntEnum

import msgspec

from makeway.model.incident import Amounts
from makeway.model.record import Cause, CauseClass, Evidence
from makeway.model.units import written_size as size

__all__ = ["Finding", "Tier", "exceeds", "fact", "size", "span_ref", "when"]


class Tier(IntEnum):
    """How strong evidence is; the least is believed first."""

    INTENT = 1
    KERNEL = 2
    STATUS = 3
    EXCEPTION = 4
    SAMPLES = 5
    LOG = 6
    NODE = 7
    HEURISTIC = 8


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One cause that a rule sees evidence for.

    cause_class   where it is not the usual one of the cause
    root          what makes it the same failure again; nothing in it that varies
    nodes         machines that are suspected, and avoided by the next attempt
    rerun         steps that must make their outputs again
    ranks         workers that are suspected
    after_s       how long somebody asked us to wait
    asked_bytes   how much memory was asked for when there was no more
    once          one more attempt is worth it, a second one is not
    act           whether a worker that was found slow is to be replaced
    wait          what must come back before anything is tried again
    """

    cause: Cause
    tier: Tier
    said: str
    evidence: tuple[Evidence, ...] = ()
    confidence: str = "established"
    cause_class: CauseClass | None = None
    root: str = ""
    rank: int | None = None
    vague: bool = False
    hint: str = ""
    nodes: tuple[str, ...] = ()
    rerun: tuple[str, ...] = ()
    ranks: tuple[int, ...] = ()
    after_s: float = 0.0
    asked_bytes: int | None = None
    once: bool = False
    act: bool = False
    wait: str = ""


def fact(text: str, ref: str) -> Evidence:
    """Make one piece of evidence."""
    return Evidence(text=text, ref=ref)


def span_ref(name: str, first: int, last: int) -> str:
    """Refer to samples `first` to `last` of a series."""
    return f"{name}[{first}]" if first == last else f"{name}[{first}..{last}]"


def exceeds(asked: Amounts, there: Amounts) -> list[str]:
    """Say, for each resource that both name, where more is asked than there is."""
    told = []
    for key, name in (("cpus", "cpus"), ("gpus", "gpus"), ("memory_bytes", "memory")):
        want, have = getattr(asked, key), getattr(there, key)
        if want is not None and have is not None and want > have:
            shown = (size(want), size(have)) if name == "memory" else (f"{want:g}", f"{have:g}")
            told.append(f"{name}: {shown[0]} asked, {shown[1]} there")
    return told


def when(at_s: float) -> str:
    """Write an instant or a span for a person."""
    if at_s < 120:
        return f"{at_s:g} s" if at_s == round(at_s, 3) else f"{at_s:.3g} s"
    return f"{at_s / 60:.3g} min" if at_s < 7200 else f"{at_s / 3600:.3g} h"
