"""Show who ran when: jobs or machines over time, waits, widths, and who made room for whom.

What is shown stands in the address: the span, its end, rows by job or by machine, and whose jobs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import urlencode

import msgspec
from fastapi import APIRouter
from markupsafe import Markup
from starlette.responses import Response

from makeway.errors import InvalidInput
from makeway.model.record import Cause
from makeway.model.units import time_text
from makeway.policy.say import count_of
from makeway.server.pages.gantt import Arrow, Line, Piece, Span, gantt, in_lanes
from makeway.server.pages.visit import Face, PageRoute, Visiting
from makeway.store.history import History, Stay, Track, Window

# `fit` begins where what is there begins, at most a day ago.
SPANS = {
    "fit": 86_400,
    "5m": 5 * 60,
    "15m": 15 * 60,
    "1h": 3600,
    "6h": 6 * 3600,
    "24h": 86_400,
    "7d": 7 * 86_400,
}
ROWS = 100
FILTERS = {"span": "fit", "by": "job", "queue": "", "run": "", "user": ""}
LEFT_OPEN = ("PREEMPTED", "CANCELLED", "CANCELLED_EXTERNALLY")
SHORTEST_MS = 20_000
MARGIN = 0.02  # of the span that is left free after now

routes = APIRouter(include_in_schema=False, route_class=PageRoute)


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """What stands beside a row of the drawing."""

    name: str
    path: str
    about: str
    state: str = ""


@routes.get("/timeline")
def timeline(visit: Visiting, until: int | None = None) -> Response:
    """Give the page; `until` is in seconds since 1970, without it the span ends now."""
    filters = {name: visit.query.get(name, usual) for name, usual in FILTERS.items()}
    span, by = filters["span"], filters["by"]
    if span not in SPANS:
        raise InvalidInput(f"there is no span {span!r}", where="span", hint=f"{', '.join(SPANS)}")
    if by not in ("job", "machine"):
        raise InvalidInput(f"rows are by job or by machine, not {by!r}", where="by")
    now_ms, long_ms = visit.records.now_ms(), SPANS[span] * 1000
    end_ms = min(now_ms, until * 1000) if until is not None else now_ms
    window = Window(
        begin_ms=end_ms - long_ms,
        end_ms=end_ms,
        queue=filters["queue"],
        run=filters["run"],
        user=filters["user"],
        most=ROWS,
    )
    known = visit.records.history(window)
    if span == "fit":
        long_ms = end_ms - _first(known, window)
        window = msgspec.structs.replace(window, begin_ms=end_ms - long_ms)
    shown = Span(
        begin_ms=window.begin_ms, end_ms=end_ms + round(long_ms * MARGIN), now_ms=end_ms
        if until is None else None,
    )  # fmt: skip
    rows, picture = _by_job(known, shown) if by == "job" else _by_machine(known, shown)
    return visit.page(
        "timeline.html",
        Face(title="Timeline", place="Timeline", command=f"makeway decisions --since {-(-long_ms // 60_000)}m",
             live="jobs" if until is None else ""),
        rows=rows, picture=picture, history=known, filters=filters, spans=tuple(SPANS),
        queues=[one.path for one in visit.desk.shares()],
        earlier=_address(filters, (end_ms - long_ms // 2) // 1000),
        later=_address(filters, (end_ms + long_ms // 2) // 1000 if end_ms + long_ms // 2 < now_ms
                       else None) if until is not None else "",
        turned=_address({**filters, "by": "machine" if by == "job" else "job"}, until),
        stays=_table(known),
    )  # fmt: skip


def _first(known: History, window: Window) -> int:
    """Say when the first of what is shown began: a little before, so that it is seen to begin."""
    first_ms = min((track.submitted_ms for track in known.tracks), default=window.begin_ms)
    before_ms = round((window.end_ms - first_ms) * MARGIN)
    return max(window.begin_ms, min(first_ms - before_ms, window.end_ms - SHORTEST_MS))


def _address(filters: Mapping[str, str], until: int | None) -> str:
    said = {name: value for name, value in filters.items() if value}
    if until is not None:
        said["until"] = str(until)
    return f"/timeline?{urlencode(said)}"


# ── by job ────────────────────────────────────────────────────────────────────────────────────────


def _by_job(known: History, span: Span) -> tuple[Sequence[Row], Markup]:
    places = {track.id: place for place, track in enumerate(known.tracks)}
    lines = [Line(pieces=tuple(_pieces(track, span))) for track in known.tracks]
    names = {track.id: track.name for track in known.tracks}
    arrows = [
        Arrow(
            at_ms=one.at_ms, start=places[one.victim], end=places[one.claimant],
            told=f"{names[one.victim]} made room for {names[one.claimant]}"
            + (f" by {one.rule}" if one.rule else "") + (f": {one.text}" if one.text else ""),
        )
        for one in known.yieldings
    ]  # fmt: skip
    rows = [
        Row(name=track.name, path=_path(track.id), about=f"{track.user} · {track.queue}",
            state=track.phase)
        for track in known.tracks
    ]  # fmt: skip
    told = f"{count_of(len(rows), 'job')} over time; the table below says the same"
    return rows, gantt(lines, arrows, span, told)


def _pieces(track: Track, span: Span) -> list[Piece]:
    """Give a job's waits and runs; a run changes its height where its width changes."""
    found, free_ms = [], track.submitted_ms
    widest = max((count for stay in track.stays for _, count in stay.widths), default=1) or 1
    for stay in track.stays:
        found += _wait(track, free_ms, stay.begin_ms)
        found += _stay(track, stay, widest, span.end_ms if span.now_ms is None else span.now_ms)
        free_ms = stay.end_ms if stay.end_ms is not None else span.end_ms
    if track.ended_ms is None and (not track.stays or track.stays[-1].end_ms is not None):
        found += _wait(track, free_ms, span.now_ms or span.end_ms)
    return [one for one in found if one.end_ms >= span.begin_ms and one.begin_ms <= span.end_ms]


def _wait(track: Track, begin_ms: int, end_ms: int) -> list[Piece]:
    if end_ms <= begin_ms:
        return []
    told = f"{track.name} waited {time_text(end_ms - begin_ms)}"
    return [Piece(begin_ms=begin_ms, end_ms=end_ms, kind="wait", told=told, part=0.12)]


def _stay(track: Track, stay: Stay, widest: int, now_ms: int) -> list[Piece]:
    end_ms = stay.end_ms if stay.end_ms is not None else now_ms
    kind = _kind(stay)
    ends = [at_ms for at_ms, _ in stay.widths[1:]] + [end_ms]
    how = f", ended: {stay.cause}" if stay.cause not in ("", Cause.NONE) else ""
    return [
        Piece(
            begin_ms=at_ms, end_ms=until_ms, kind=kind, part=max(0.25, count / widest),
            path=_path(track.id),
            told=f"{track.name} attempt {stay.number}: {count_of(count, 'worker')}, "
            f"{time_text(max(0, until_ms - at_ms))}{how}",
        )
        for (at_ms, count), until_ms in zip(stay.widths, ends, strict=True)
    ]  # fmt: skip


def _kind(stay: Stay) -> str:
    if stay.cause == "":
        return "run"
    if stay.cause == Cause.NONE:
        return "good"
    return "off" if stay.cause in LEFT_OPEN else "bad"


# ── by machine ────────────────────────────────────────────────────────────────────────────────────


def _by_machine(known: History, span: Span) -> tuple[Sequence[Row], Markup]:
    """Give as many rows to a machine as jobs were on it at once."""
    on: dict[str, dict[str, Piece]] = {}
    now_ms = span.now_ms or span.end_ms
    for track in known.tracks:
        for stay in track.stays:
            end_ms = stay.end_ms if stay.end_ms is not None else now_ms
            if end_ms < span.begin_ms:
                continue
            for node, count in stay.nodes:
                told = f"{track.name} attempt {stay.number}: {count_of(count, 'worker')} on {node}"
                on.setdefault(node, {})[f"{track.id}/{stay.number}"] = Piece(
                    begin_ms=stay.begin_ms, end_ms=end_ms, kind=_kind(stay), told=told,
                    path=_path(track.id), part=0.9,
                )  # fmt: skip
    rows, lines = [], []
    for node, pieces in sorted(on.items()):
        lanes = in_lanes(pieces)
        rows += [
            Row(name=node if at == 0 else "", path="/#nodes" if at == 0 else "",
                about=count_of(len(pieces), "attempt") if at == 0 else "")
            for at in range(len(lanes))
        ]  # fmt: skip
        lines += lanes
    told = f"{count_of(len(on), 'machine')} over time; the table below says the same"
    return rows, gantt(lines, (), span, told)


# ── the same as a table ───────────────────────────────────────────────────────────────────────────


def _table(known: History) -> list[tuple[Track, Stay, str]]:
    """Give every attempt, the newest first, with its widths in words."""
    found = [
        (track, stay, " → ".join(str(count) for _, count in stay.widths))
        for track in known.tracks
        for stay in track.stays
    ]
    return sorted(found, key=lambda one: one[1].begin_ms, reverse=True)


def _path(job: str) -> str:
    return f"/jobs/{job}"
