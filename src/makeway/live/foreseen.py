"""Say in sentences what would change if a cluster were set up otherwise."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from makeway.live.changes import Changed
from makeway.live.preview import Consequence, Moved, Preview
from makeway.wire.cluster import PreviewView

NOTHING = "–"
SAYS = {
    "start": "would start now",
    "reserve": "would start when its victims have left",
    "evict": "would be evicted",
    "grow": "would grow",
    "shrink": "would shrink",
    "refuse": "would be refused",
    "lose": "would lose a node",
    "wait": "would not start now",
    "keep": "would be left alone",
}
STARTS, EVICTIONS = ("start", "reserve", "wait"), ("evict", "lose", "refuse", "keep")


def foreseen(found: Preview) -> PreviewView:
    """Write a preview in sentences."""
    rows = found.consequences
    return PreviewView(
        changes=tuple(_changed(one) for one in found.changes),
        starts=tuple(_job(one) for one in rows if one.kind in STARTS),
        evictions=tuple(_job(one) for one in rows if one.kind in EVICTIONS),
        resizes=tuple(_job(one) for one in rows if one.kind in ("grow", "shrink")),
        shares=tuple(_queue(one) for one in found.shares),
    )


def _changed(one: Changed) -> str:
    name = " ".join(part for part in (one.what, one.name, one.key) if part)
    if one.key:
        return f"{name}: {_value(one.old)} -> {_value(one.new)}"
    if one.old is None:
        more = "" if one.new == {} else f" with {_value(one.new)}"
        return f"{name} comes{more}"
    return f"{name} goes"


def _job(one: Consequence) -> str:
    text = f"{one.job} in {one.queue} {SAYS[one.kind]}"
    if one.kind in ("grow", "shrink"):
        text += f" from {one.before} to {one.workers} workers"
    if one.beneficiary is not None:
        text += f" for {one.beneficiary} by rule {one.rule}"
    return f"{text}: {one.text}" if one.text else text


def _queue(one: Moved) -> str:
    shares = [
        NOTHING if share is None else f"{share:.1%}"
        for share in (one.share_before, one.share_after)
    ]
    dues = (_value(one.due_before), _value(one.due_after))
    moved = "" if dues[0] == dues[1] else f", due {dues[0]} -> {dues[1]}"
    return f"{one.path}: share {shares[0]} -> {shares[1]}{moved}"


def _value(value: object) -> str:
    if value is None or value == {}:
        return NOTHING
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_value(one)}" for key, one in value.items())
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
