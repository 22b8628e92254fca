"""Compare a world with what a scenario expects of it: one sentence for each thing that is not so.

Takes:   Expected, and the outcome at its instant (after all that happens then)
Gives:   sentences, each with file and line
Raises:  InvalidInput for what cannot be compared (a job or queue that there is not)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from makeway.sim.located import Item
from makeway.sim.scenario import Expected

Row = Mapping[str, object]
TOLERANCE = 0.005


def misses(expected: Expected, outcome: Row) -> Iterator[str]:
    """Name everything that is not as it is expected."""
    jobs = _by(outcome, "jobs", "name")
    queues = _by(outcome, "queues", "path")
    at = f"at {expected.at_ms / 1000:g} s"
    for key, item in expected.fields.items():
        match key:
            case "workers" | "phases" | "started" | "ended" | "reasons":
                yield from _of_jobs(key, item, jobs, at)
            case "preempted" | "queued" | "rejected":
                yield from _sets(key, item, jobs, at)
            case "order":
                yield from _order(item, jobs, at)
            case _:
                yield from _of_queues(key, item, queues, at)


def _of_jobs(key: str, item: Item, jobs: Mapping[str, Row], at: str) -> Iterator[str]:
    for name, want in item.mapping(key).items():
        row = _known(jobs, name, want, "job")
        found, wanted = _of_job(key, row, want)
        if found != wanted:
            yield _said(want, f"{at} {name} should have {key} {wanted}, and has {found}")


def _of_job(key: str, row: Row, want: Item) -> tuple[object, object]:
    match key:
        case "workers":
            return row["workers"] if row["phase"] == "running" else 0, want.whole(key)
        case "phases":
            return row["phase"], want.text(key)
        case "reasons":
            wait = row["wait"]
            return wait["reason"] if isinstance(wait, dict) else None, want.text(key)
        case _:
            return row[f"{key}_s"], want.past_ms(key) / 1000


def _sets(key: str, item: Item, jobs: Mapping[str, Row], at: str) -> Iterator[str]:
    for want in item.items(key):
        name = want.text(key)
        row = _known(jobs, name, want, "job")
        wait = row["wait"]
        so = {
            "preempted": row["preemptions"] != 0,
            "queued": row["phase"] == "queued",
            "rejected": row["phase"] == "failed" and not row["attempts"] and wait is not None,
        }[key]
        if not so:
            yield _said(want, f"{at} {name} should be {key}, and is {row['phase']}")


def _order(item: Item, jobs: Mapping[str, Row], at: str) -> Iterator[str]:
    wanted = [one.text("order") for one in item.items("order")]
    for one in item.items("order"):
        _known(jobs, one.text("order"), one, "job")
    began = {name: jobs[name]["started_s"] for name in wanted}
    found = sorted(
        (name for name in wanted if began[name] is not None),
        key=lambda name: (float(str(began[name])), wanted.index(name)),
    )
    if found != wanted:
        yield _said(item, f"{at} should have started in the order {wanted}, and is {found}")


def _of_queues(key: str, item: Item, queues: Mapping[str, Row], at: str) -> Iterator[str]:
    for path, want in item.mapping(key).items():
        row = _known(queues, path, want, "queue")
        if key == "shares":
            pairs = [("share", want, row["share"])]
        else:
            there = row[key]
            assert isinstance(there, dict)
            pairs = [(f"{key} of {k}", v, there.get(k, 0.0)) for k, v in want.mapping(key).items()]
        for what, one, found in pairs:
            wanted = one.number(what)
            if abs(float(found) - wanted) > TOLERANCE * max(1.0, abs(wanted)):  # type: ignore[arg-type]  # numbers
                yield _said(
                    one, f"{at} {path} should have a {what} of {wanted:g}, and has {found:g}"
                )


def _by(outcome: Row, part: str, key: str) -> dict[str, Row]:
    rows = outcome[part]
    assert isinstance(rows, list)
    return {row[key]: row for row in rows}


def _known(rows: Mapping[str, Row], name: str, item: Item, what: str) -> Row:
    if name not in rows:
        raise item.wrong(f"there is no {what} {name!r} at that time")
    return rows[name]


def _said(item: Item, text: str) -> str:
    return f"{item.file}:{item.line}: {text}"
