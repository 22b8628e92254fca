"""Say things on a page: a state as colour, icon and word; spans, instants and amounts as in the CLI.

Takes:   what the views have: words of phases, seconds, amounts by kind
Gives:   texts, and for a state the class and the drawing that go with its word
"""

from __future__ import annotations

import time
from collections.abc import Mapping

from makeway.model.units import size_text, time_text

NOTHING = "–"
GOOD, RUN, WAIT, BAD, OFF = "good", "run", "wait", "bad", "off"

KINDS: Mapping[str, str] = {
    **dict.fromkeys(("succeeded", "cached", "ready", "done", "chosen", "valid"), GOOD),
    **dict.fromkeys(("running", "starting", "evicting", "preparing", "stopping"), RUN),
    **dict.fromkeys(("queued", "held", "backoff", "draining", "cancelling"), WAIT),
    **dict.fromkeys(("failed", "lost", "refused", "revoked"), BAD),
    "succeeded_with_failures": BAD,
}

# Drawn in a square of 16, with round strokes: they differ in shape as well, not in colour alone.
ICONS: Mapping[str, str] = {
    GOOD: "M3 8.5l3.2 3.2L13 4.8",
    RUN: "M5 3.5v9l7-4.5z",
    WAIT: "M8 2.5a5.5 5.5 0 1 0 0 11a5.5 5.5 0 0 0 0-11M8 5v3.2l2.2 1.6",
    BAD: "M4 4l8 8M12 4l-8 8",
    OFF: "M3.5 8h9",
}


def kind_of(state: str) -> str:
    """Say which of the five kinds a state is of."""
    return KINDS.get(state, OFF)


def icon_of(state: str) -> str:
    """Give the path that is drawn before the word of a state."""
    return ICONS[kind_of(state)]


def word(state: str) -> str:
    """Write a state as a person reads it."""
    return state.replace("_", " ")


def lasting(begin_s: float | None, end_s: float | None = None) -> str:
    """Write how long something took, or has taken so far."""
    if begin_s is None:
        return NOTHING
    return time_text(round(1000 * max(0.0, (time.time() if end_s is None else end_s) - begin_s)))


def lasting_ms(begin_ms: int | None, end_ms: int | None = None) -> str:
    """Write the same of ms."""
    return lasting(
        None if begin_ms is None else begin_ms / 1000, None if end_ms is None else end_ms / 1000
    )


def instant(at_s: float | None) -> str:
    """Write an instant in the service's local time."""
    if at_s is None:
        return NOTHING
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at_s))


def instant_ms(at_ms: int | None) -> str:
    """Write the same of ms."""
    return NOTHING if at_ms is None else instant(at_ms / 1000)


def machine_time(at_s: float) -> str:
    """Write an instant for a `time` element."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at_s))


def amount(kind: str, value: float) -> str:
    """Write one amount: `4 cpus`, `16 GiB`."""
    if kind == "memory":
        return size_text(int(value))
    if value == 1 and kind in ("cpus", "gpus"):
        return f"1 {kind[:-1]}"
    return f"{value:g} {kind}"


def amounts(values: Mapping[str, float]) -> str:
    """Write amounts by kind; what there is none of is left out."""
    return ", ".join(amount(kind, value) for kind, value in values.items() if value) or NOTHING


def bare(kind: str, value: float) -> str:
    """Write an amount in a column that names the kind."""
    return size_text(int(value)) if kind == "memory" else f"{round(value, 2):g}"


def share(part: float) -> str:
    """Write a part of a whole."""
    return f"{100 * part:.1f}".removesuffix(".0") + " %"


def number(value: float | None) -> str:
    """Write a measured number with as many digits as mean something."""
    return NOTHING if value is None else f"{value:,.4g}".replace(",", " ")


def measured(value: float | None, unit: str | None) -> str:
    """Write a measured number with its unit."""
    if value is None:
        return NOTHING
    match unit:
        case "bytes":
            return size_text(int(value))
        case "bytes_per_second":
            return f"{size_text(int(value))}/s"
        case "percent":
            return f"{number(value)} %"
        case None | "":
            return number(value)
        case _:
            return f"{number(value)} {unit}"


def short_id(name: str) -> str:
    """Write the beginning of an id; the whole stands in its title."""
    return name if len(name) <= 14 else f"{name[:13]}…"
