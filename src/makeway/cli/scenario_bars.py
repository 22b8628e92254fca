"""Draw who ran when, a line a job: how many workers it had, where it waited, how attempts ended.

With many jobs there is a line a queue instead, with all that ran in it. States are signs and
letters, never colours. Whatever happened has at least one cell, however short it was.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import msgspec

Row = Mapping[str, object]
WIDTH_MAX, WIDTH_MIN, TICK = 100, 20, 14
JOBS_MAX = 40
ENDS = {"preempted": "x", "failed": "!", "cancelled": "c"}
LEGEND = (
    ". waits   1-9 workers run (+ more than 9)   x evicted   ! failed   c cancelled   r rejected"
)


class _Scale(msgspec.Struct, frozen=True):
    """Which cell of a line an instant is in."""

    begin_s: float
    end_s: float
    width: int

    def cell(self, at_s: float) -> int:
        """Give the cell of an instant; the end is in the last one."""
        part = (at_s - self.begin_s) / (self.end_s - self.begin_s)
        return min(self.width - 1, max(0, int(part * self.width + 1e-9)))


class _Piece(msgspec.Struct, frozen=True):
    """So many workers, from then to then; `end` is the sign of how it ended, if not well."""

    first_s: float
    last_s: float
    workers: int
    end: str = ""


def bars(found: Row, columns: int) -> Iterator[str]:
    """Give the lines of the drawing, for a terminal of so many columns."""
    jobs = _rows(found, "jobs")
    pieces = _pieces(found)
    begin_s = min(_number(job["submitted_s"]) for job in jobs)
    alive = any(job["ended_s"] is None for job in jobs)
    now_s = _number(found["at_s"])
    end_s = now_s if alive else max(_number(job["ended_s"]) for job in jobs)
    if end_s <= begin_s:
        return
    by_queue = len(jobs) > JOBS_MAX
    names = [str(job["queue" if by_queue else "name"]) for job in jobs]
    left = max(len(name) for name in names)
    scale = _Scale(begin_s, end_s, max(WIDTH_MIN, min(WIDTH_MAX, columns - left - 3)))
    yield f"{'':{left}}  {_axis(scale)}"
    unit = 1
    if by_queue:
        rows = {queue: [job for job in jobs if job["queue"] == queue] for queue in names}
        counts = {queue: _counts(there, pieces, scale) for queue, there in rows.items()}
        unit = max(1, math.ceil(max(max(count) for count in counts.values()) / 9))
        for queue, there in rows.items():
            yield f"{queue:{left}}  {_queue_line(there, counts[queue], unit, scale)}".rstrip()
    else:
        for job in jobs:
            line = _job_line(job, pieces[str(job["name"])], scale)
            yield f"{job['name']!s:{left}}  {line}".rstrip()
    yield f"{'':{left}}  {_legend(unit, by_queue=by_queue)}"


def _legend(unit: int, *, by_queue: bool) -> str:
    if not by_queue:
        return LEGEND
    times = f", times {unit}" if unit > 1 else ""
    return f". all wait   1-9 workers run{times}   (a line a queue: there are many jobs)"


def _axis(scale: _Scale) -> str:
    """Mark round instants, as many as there is room for."""
    line = [" "] * scale.width
    span_s = scale.end_s - scale.begin_s
    step_s = _round_step(span_s * TICK / scale.width)
    for number in range(math.ceil(scale.begin_s / step_s), int(scale.end_s / step_s) + 1):
        place = scale.cell(number * step_s)
        mark = f"|{number * step_s:.10g} s"
        if place + len(mark) <= scale.width:
            line[place : place + len(mark)] = mark
    return "".join(line).rstrip()


def _round_step(least_s: float) -> float:
    """Give the smallest round span that is at least so long."""
    size = 10.0 ** math.floor(math.log10(least_s))
    return next(size * times for times in (1, 2, 5, 10) if size * times >= least_s)


def _job_line(job: Row, pieces: Sequence[_Piece], scale: _Scale) -> str:
    line = [" "] * scale.width
    over_s = scale.end_s if job["ended_s"] is None else _number(job["ended_s"])
    _fill(line, ".", scale, _number(job["submitted_s"]), over_s)
    for piece in pieces:
        _fill(line, _digit(piece.workers), scale, piece.first_s, piece.last_s)
        if piece.end:
            line[_last(scale, piece)] = piece.end
    if job["refused"]:
        line[scale.cell(over_s)] = "r"
    return "".join(line)


def _counts(
    jobs: Sequence[Row], pieces: Mapping[str, Sequence[_Piece]], scale: _Scale
) -> list[int]:
    """Give the most workers of these jobs that ran at once, by cell."""
    changes = list[tuple[float, int]]()
    for job in jobs:
        for piece in pieces[str(job["name"])]:
            changes += [(piece.first_s, piece.workers), (piece.last_s, -piece.workers)]
    most, now, before_s = [0] * scale.width, 0, scale.begin_s
    for at_s, change in sorted(changes):
        if now and at_s > before_s:
            first = scale.cell(before_s)
            for cell in range(first, max(first, _until(scale, at_s)) + 1):
                most[cell] = max(most[cell], now)
        now, before_s = now + change, at_s
    return most


def _queue_line(jobs: Sequence[Row], counts: Sequence[int], unit: int, scale: _Scale) -> str:
    line = [" "] * scale.width
    for job in jobs:
        over_s = scale.end_s if job["ended_s"] is None else _number(job["ended_s"])
        if not job["refused"]:
            _fill(line, ".", scale, _number(job["submitted_s"]), over_s)
    return "".join(
        str(math.ceil(count / unit)) if count else sign
        for count, sign in zip(counts, line, strict=True)
    )


def _pieces(found: Row) -> dict[str, list[_Piece]]:
    """Cut the attempts of every job where the number of its workers changed."""
    sizes: dict[str, list[tuple[float, int]]] = {}
    adopted = found["adopted"]  # these began without a decision
    assert isinstance(adopted, dict)
    for one in _rows(found, "decisions"):
        if one["kind"] in ("start", "resize"):
            size = (_number(one["at_s"]), int(str(one["workers"])))
            sizes.setdefault(str(one["job"]), []).append(size)
    pieces: dict[str, list[_Piece]] = {}
    for job in _rows(found, "jobs"):
        name = str(job["name"])
        found_here = pieces.setdefault(name, [])
        for attempt in _rows(job, "attempts"):
            first_s = _number(attempt["started_s"])
            over = attempt["ended_s"]
            last_s = _number(found["at_s"]) if over is None else _number(over)
            cuts = [cut for cut in sizes.get(name, ()) if first_s <= cut[0] <= last_s]
            if not cuts or cuts[0][0] > first_s:
                cuts.insert(0, (first_s, int(str(adopted[name]))))
            ends = [cut[0] for cut in cuts[1:]] + [last_s]
            for place, ((at_s, workers), end_s) in enumerate(zip(cuts, ends, strict=True)):
                sign = ENDS.get(str(attempt["end"]), "") if place == len(cuts) - 1 else ""
                found_here.append(_Piece(at_s, end_s, workers, sign))
    return pieces


def _fill(line: list[str], sign: str, scale: _Scale, first_s: float, last_s: float) -> None:
    first = scale.cell(first_s)
    for place in range(first, max(first, _until(scale, last_s)) + 1):
        line[place] = sign


def _last(scale: _Scale, piece: _Piece) -> int:
    return max(scale.cell(piece.first_s), _until(scale, piece.last_s))


def _until(scale: _Scale, at_s: float) -> int:
    """Give the last cell that lies before an instant."""
    part = (at_s - scale.begin_s) / (scale.end_s - scale.begin_s) * scale.width
    return min(scale.width - 1, round(part) - 1)


def _digit(workers: int) -> str:
    return str(workers) if workers <= 9 else "+"


def _rows(found: Row, key: str) -> Sequence[Row]:
    rows = found[key]
    assert isinstance(rows, list)
    return rows


def _number(value: object) -> float:
    return float(str(value))
