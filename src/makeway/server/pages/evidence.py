"""Write a diagnosis for the card that stands first: what it is, what to do, and only then why.

Evidence that points into a series knows its stretch of time, so that the charts can show it.

Takes:   an attempt as it was judged, with its document; the attempt's row, which has what was
         decided then
Gives:   plain texts for the template
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import msgspec

from makeway.live.records import Judged
from makeway.store.rows import AttemptRow
from makeway.wire.diagnosis import written_decision

REF = re.compile(r"^(?P<path>.+)\[(?P<first>\d+)(?:\.\.(?P<last>\d+))?\]$")
SURE = {
    "established": "established: proved by what was recorded",
    "supported": "supported: what was recorded speaks for it",
    "hypothesis": "a hypothesis: likely, not proved",
    "unknown": "unknown",
}
CHANGES = {
    "memory": "memory", "resume_from": "goes on from", "exclude_nodes": "avoids",
    "rerun": "makes again", "replace_ranks": "replaces worker", "after": "after",
    "sample_interval": "measures every",
}  # fmt: skip


class Fact(msgspec.Struct, frozen=True, kw_only=True):
    """One piece of evidence; with `span` (s since 1970) where it is a stretch of a series."""

    text: str
    ref: str
    span: tuple[float, float] | None


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """A diagnosis as the card shows it."""

    cause: str
    kind: str
    sure: str
    text: str
    hint: str
    outlook: str
    evidence: tuple[Fact, ...]
    ruled_out: tuple[tuple[str, str], ...]
    followed: tuple[str, ...]
    action: str
    decided: str
    rule: str
    changes: tuple[tuple[str, str], ...]
    ledger: str
    fingerprint: str


def shown(judged: Judged, attempt: AttemptRow | None) -> Shown:
    """Write it."""
    found = msgspec.convert(judged.diagnosis, _Told)
    begun_ms = 0 if attempt is None else attempt.released_at_ms or attempt.started_at_ms
    made = None if attempt is None else attempt.decision
    decision = found.decision if made is None else msgspec.convert(written_decision(made), _Decided)
    outlook = found.outlook
    return Shown(
        cause=found.cause,
        kind=found.class_,
        sure=SURE.get(found.confidence, found.confidence),
        text=found.text,
        hint=found.hint,
        outlook=f"{outlook.verdict}: {outlook.text}" if outlook.text else "",
        evidence=tuple(
            Fact(text=one.text, ref=one.ref, span=_span(one.ref, judged.document, begun_ms / 1000))
            for one in found.evidence
        ),
        ruled_out=tuple((one.cause, one.why) for one in found.ruled_out),
        followed=tuple(
            one.text if one.rank is None else f"worker {one.rank}: {one.text}"
            for one in found.cascade
        ),
        action=decision.action.replace("_", " "),
        decided="" if made is None else made.text,
        rule=decision.rule,
        changes=tuple(_changes(decision)),
        ledger=_ledger(decision),
        fingerprint=found.fingerprint,
    )


class _Pair(msgspec.Struct):
    text: str
    ref: str = ""
    rank: int | None = None


class _Against(msgspec.Struct):
    cause: str
    why: str


class _Outlook(msgspec.Struct):
    verdict: str
    text: str


class _Decided(msgspec.Struct):
    action: str
    rule: str
    memory: str | None = None
    resume_from: float | None = None
    exclude_nodes: tuple[str, ...] = ()
    rerun: tuple[str, ...] = ()
    replace_ranks: tuple[int, ...] = ()
    after: str = "0s"
    sample_interval: str | None = None
    ledger: str | None = None
    ledger_before: tuple[int, int | None] | None = None
    ledger_after: tuple[int, int | None] | None = None


class _Told(msgspec.Struct, rename={"class_": "class"}):
    cause: str
    class_: str
    confidence: str
    text: str
    hint: str
    fingerprint: str
    evidence: tuple[_Pair, ...]
    ruled_out: tuple[_Against, ...]
    cascade: tuple[_Pair, ...]
    outlook: _Outlook
    decision: _Decided


def _changes(decision: _Decided) -> list[tuple[str, str]]:
    found = []
    for key, name in CHANGES.items():
        value = getattr(decision, key)
        if value in (None, (), "0s"):
            continue
        if key == "resume_from":
            text = f"{100 * value:g} %"
        elif isinstance(value, tuple):
            text = ", ".join(map(str, value))
        else:
            text = str(value)
        found.append((name, text))
    return found


def _ledger(decision: _Decided) -> str:
    """Say which budget pays, and how much of it is used."""
    if decision.ledger is None:
        return "nothing is charged"
    after = decision.ledger_after or decision.ledger_before
    if after is None:
        return decision.ledger
    used, allowed = after
    return f"{decision.ledger}: {used} of {'any number' if allowed is None else allowed} used"


def _span(ref: str, document: Mapping[str, object], begun_s: float) -> tuple[float, float] | None:
    """Find the stretch of time that a reference into a series means."""
    found = REF.match(ref)
    if found is None:
        return None
    points = _at(document, found["path"].split("."))
    if not isinstance(points, Sequence):
        return None
    first = int(found["first"])
    last = int(found["last"] or first)
    some = points[first : last + 1]
    if not some or not all(isinstance(one, Sequence) and len(one) == 2 for one in some):
        return None
    times = [_seconds(one[0]) for one in some]
    return begun_s + min(times), begun_s + max(times)


def _at(value: object, path: Sequence[str]) -> object:
    for part in path:
        if not isinstance(value, Mapping) or part not in value:
            return None
        value = value[part]
    return value


def _seconds(value: object) -> float:
    text = str(value)
    return float(text.removesuffix("s"))
