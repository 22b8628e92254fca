"""Compare a world with what a scenario expects of it: one sentence for each thing that is not so.

Takes:   Expected, and the outcome at its instant (after all that happens then)
Gives:   sentences, each with file and line
Raises:  InvalidInput, when the scenario is read, for a job, queue, phase or reason that there is not
Holds:   who is not there yet, or not any more, holds nothing and has a share of 0
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from makeway.intake.located import Item, instead
from makeway.model.phase import JobPhase
from makeway.model.units import NAMES, in_units
from makeway.model.wait import Reason
from makeway.sim.scenario import Expected

Row = Mapping[str, object]
TOLERANCE = 0.005

OF_JOBS = ("workers", "phases", "started", "ended", "reasons")
OF_QUEUES = ("shares", "due", "usage", "demand")
SETS = ("preempted", "queued", "rejected")
KINDS = (*OF_JOBS, *SETS, "order", *OF_QUEUES)

# A job that has not been submitted yet.
ABSENT: Row = {
    "phase": "absent", "workers": 0, "wait": None, "started_s": None, "ended_s": None,
    "preemptions": 0, "attempts": (), "refused": False,
}  # fmt: skip


def check(expected: Expected, jobs: Collection[str], queues: Collection[str]) -> None:
    """Refuse an expectation that is about nothing there is, or cannot be compared."""
    for key, item in expected.fields.items():
        if key in SETS or key == "order":
            for one in item.items(key):
                _known(one.text(key), one, jobs, "job")
            continue
        for name, want in item.mapping(key).items():
            _known(name, want, *((jobs, "job") if key in OF_JOBS else (queues, "queue")))
            match key:
                case "phases":
                    want.one_of((*JobPhase, "absent"), "phase")
                case "reasons":
                    want.one_of(tuple(Reason), "reason")
                case "due" | "usage" | "demand":
                    want.amounts(key)
                case _:
                    _wanted(key, want)


def _known(name: str, item: Item, known: Collection[str], what: str) -> None:
    if name not in known:
        raise item.wrong(f"there is no {what} {name!r}{instead(name, sorted(known))}")


def misses(expected: Expected, outcome: Row) -> Iterator[str]:
    """Name everything that is not as it is expected."""
    jobs = _by(outcome, "jobs", "name")
    queues = _by(outcome, "queues", "path")
    at = f"at {expected.at_ms / 1000:g} s"
    for key, item in expected.fields.items():
        if key in OF_JOBS:
            yield from _of_jobs(key, item, jobs, at)
        elif key in SETS:
            yield from _sets(key, item, jobs, at)
        elif key == "order":
            yield from _order(item, jobs, at)
        else:
            yield from _of_queues(key, item, queues, at)


def _of_jobs(key: str, item: Item, jobs: Mapping[str, Row], at: str) -> Iterator[str]:
    for name, want in item.mapping(key).items():
        found, wanted = _found(key, jobs.get(name, ABSENT)), _wanted(key, want)
        if found != wanted:
            yield _said(want, f"{at} {SENTENCES[key].format(name, _text(wanted), _text(found))}")


SENTENCES = {
    "workers": "{} should have {} workers, and has {}",
    "phases": "{} should be {}, and is {}",
    "started": "{} should have started at {}, and started at {}",
    "ended": "{} should have ended at {}, and ended at {}",
    "reasons": "{} should wait for {}, and waits for {}",
}


def _text(value: object) -> str:
    if value is None:
        return "nothing yet"
    return f"{value:g} s" if isinstance(value, float) else str(value)


def _found(key: str, row: Row) -> object:
    match key:
        case "workers":
            return row["workers"]
        case "phases":
            return row["phase"]
        case "reasons":
            wait = row["wait"]
            return wait["reason"] if isinstance(wait, Mapping) else None
        case _:
            return row[f"{key}_s"]


def _wanted(key: str, want: Item) -> object:
    match key:
        case "workers":
            return want.whole(key)
        case "phases" | "reasons":
            return want.text(key)
        case "shares":
            return want.number(key)
        case _:
            return want.past_ms(key) / 1000


def _sets(key: str, item: Item, jobs: Mapping[str, Row], at: str) -> Iterator[str]:
    for want in item.items(key):
        name = want.text(key)
        row = jobs.get(name, ABSENT)
        match key:
            case "preempted":
                so, should = row["preemptions"] != 0, "have been preempted"
            case "queued":
                so, should = row["phase"] == "queued", "be queued"
            case _:
                so, should = bool(row["refused"]), "have been rejected"
        if not so:
            instead_of = "never was" if key == "preempted" else f"is {row['phase']}"
            yield _said(want, f"{at} {name} should {should}, and {instead_of}")


def _order(item: Item, jobs: Mapping[str, Row], at: str) -> Iterator[str]:
    wanted = [one.text("order") for one in item.items("order")]
    began = {name: jobs.get(name, ABSENT)["started_s"] for name in wanted}
    found = sorted(
        (name for name in wanted if began[name] is not None),
        key=lambda name: (float(str(began[name])), wanted.index(name)),
    )
    if found != wanted:
        order, other = ", ".join(wanted), ", ".join(found) or "none of them"
        yield _said(item, f"{at} the order of starts should be {order}, and is {other}")


def _of_queues(key: str, item: Item, queues: Mapping[str, Row], at: str) -> Iterator[str]:
    for path, want in item.mapping(key).items():
        row = queues.get(path, {})
        for one, what, wanted, found in _numbers(key, want, row):
            if abs(found - wanted) > TOLERANCE * max(1.0, wanted):
                much = f"{what.format(f'{wanted:g}')}, and has {found:g}"
                yield _said(one, f"{at} {path} should have {much}")


def _numbers(key: str, want: Item, row: Row) -> Iterator[tuple[Item, str, float, float]]:
    """Give of each number its place, how it is told, what is wanted and what is there."""
    if key == "shares":
        yield want, "a share of {}", want.number(key), float(str(row.get("share", 0)))
        return
    there = row.get(key, {})
    assert isinstance(there, Mapping)
    for name, one in want.mapping(key).items():
        kind, amount = one.resource(name)
        told = NAMES.get(kind, kind)
        found = float(str(there.get(told, 0)))
        yield one, f"{{}} {told} of {key}", in_units(kind, amount), found


def _by(outcome: Row, part: str, key: str) -> dict[str, Row]:
    rows = outcome[part]
    assert isinstance(rows, list)
    return {row[key]: row for row in rows}


def _said(item: Item, text: str) -> str:
    return f"{item.file}:{item.line}: {text}"
