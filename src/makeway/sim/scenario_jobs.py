"""Read the jobs and the events of a scenario file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec.structs import replace

from makeway.intake.jobs import WORKERS_MAX, asked_of, waits_of
from makeway.intake.located import Item, instead, option
from makeway.intake.queues import QUEUE_KEYS, changed
from makeway.model.cluster import Allocation, Placement, Queue
from makeway.model.job import After, JobSpec
from makeway.model.rules import Rules
from makeway.sim.scenario import Change, Given

KEYS = (
    "name", "queue", "at", "copies", "workers", "per_worker", "groups", "class", "priority",
    "runtime", "scaling", "time_limit", "expected", "preemptible", "checkpoint_every", "after",
    "nodes", "running", "exit_time", "domain", "retries", "user",
)  # fmt: skip
COPIES_MAX = 1_000_000
EVENTS = ("node_down", "node_up", "cancel", "set_queue", "worker_fails")
# A victim leaves after its own exit time, at the latest after the policy's grace time.
PATIENT_MS = 1 << 40
DEFAULTS = JobSpec(name="", user="", queue="default", grace_ms=PATIENT_MS)


def jobs_of(item: Item, nodes: Mapping[str, object], rules: Rules) -> Iterator[tuple[Given, Item]]:
    """Read one entry of `jobs`, once for each copy."""
    fields = item.fields(KEYS, "a job")
    if "name" not in fields:
        raise item.wrong("a job needs a name")
    name = fields["name"].text("name")
    copies = fields["copies"].whole("copies", 1) if "copies" in fields else 1
    if copies > COPIES_MAX:
        raise fields["copies"].wrong(f"copies must be at most {COPIES_MAX}")
    given = _one(name, fields, rules)
    given = _placed(given, fields, nodes)
    for number in range(1, copies + 1):
        full = name if copies == 1 else f"{name}{number}"
        yield replace(given, name=full, spec=replace(given.spec, name=full)), item


def _who_run(fields: Mapping[str, Item]) -> dict[str, Item]:
    """Count the workers of a job that says where it runs, and not how many it has."""
    item = option(fields, "running")
    on = None if item is None else item.mapping("running").get("on")
    if "groups" in fields or on is None or not isinstance(on.value, list) or not on.value:
        return {}
    return {"workers": replace(on, value=len(on.value))}


def after_of(item: Item, named: Mapping[str, list[str]]) -> tuple[After, ...]:
    """Read what a job waits for; a name with copies stands for all of them."""
    return tuple(
        After(job=full, on=on) for target, on in waits_of(item) for full in _job(target, named)
    )


def _one(name: str, given: Mapping[str, Item], rules: Rules) -> Given:
    fields = {**_who_run(given), **given}
    spec = asked_of(fields, rules, replace(DEFAULTS, name=name))
    runtime, at, exit_time = (option(fields, key) for key in ("runtime", "at", "exit_time"))
    runtime_ms = None if runtime is None else runtime.span_ms("runtime")
    return Given(
        name=name,
        spec=replace(spec, known_ms=runtime_ms, user=spec.user or spec.queue),
        at_ms=0 if at is None else at.time_ms("at"),
        runtime_ms=runtime_ms,
        scaling=_scaling(fields, sum(group.count_max for group in spec.groups)),
        exit_ms=0 if exit_time is None else exit_time.time_ms("exit_time"),
    )


def _scaling(fields: Mapping[str, Item], most: int) -> tuple[float, ...]:
    item = option(fields, "scaling")
    if item is None or item.value == "linear":
        return ()
    rates = [one.number("scaling") for one in item.items("scaling")]
    if len(rates) < most:
        raise item.wrong(
            f"scaling needs a throughput for each of 1 to {most} workers, and has {len(rates)}"
        )
    if min(rates) <= 0:
        raise item.wrong("every throughput must be more than 0")
    return tuple(rates)


def _placed(given: Given, fields: Mapping[str, Item], nodes: Mapping[str, object]) -> Given:
    spec = given.spec
    if (pins := option(fields, "nodes")) is not None:
        names = tuple(_node(one, nodes) for one in pins.items("nodes"))
        given = replace(given, spec=replace(spec, nodes=names))
    item = option(fields, "running")
    if item is None:
        return given
    inner = item.fields(("on", "since"), "running")
    if "on" not in inner:
        raise item.wrong("running needs on: the node of each worker")
    on = [_node(one, nodes) for one in inner["on"].items("on")]
    most = sum(group.count_max for group in spec.groups)
    if not spec.workers_min <= len(on) <= most:
        asked = f"{most}" if spec.workers_min == most else f"{spec.workers_min} to {most}"
        raise inner["on"].wrong(
            f"one node a worker: the job has {asked} workers, and on names {len(on)} nodes"
        )
    if option(fields, "after") is not None:
        raise item.wrong("a job that runs already waits for no other: leave after away")
    since_ms = inner["since"].past_ms("since") if "since" in inner else 0
    if since_ms > 0:
        raise inner["since"].wrong("it cannot have begun after the beginning")
    rows, left = list[Placement](), [*on]
    for group in spec.groups:
        for _ in range(group.count_max):
            if left:
                rows.append(Placement(left.pop(0), group.name, 1))
    return replace(given, allocation=Allocation(tuple(rows)), since_ms=since_ms)


def _node(item: Item, nodes: Mapping[str, object]) -> str:
    name = item.text("node")
    return name if name in nodes else item.one_of(tuple(nodes), "node")


def change_of(
    item: Item, nodes: Mapping[str, object], named: Mapping[str, list[str]]
) -> Iterator[Change]:
    """Read one entry of `events`; what changes a queue is read by `queues_changed`."""
    fields = item.fields(("at", *EVENTS), "an event")
    whats = [key for key in EVENTS if key in fields]
    if "at" not in fields or len(whats) != 1:
        raise item.wrong(f"an event needs at and one of {', '.join(EVENTS)}")
    at_ms, what, about = fields["at"].time_ms("at"), whats[0], fields[whats[0]]
    if what in ("node_down", "node_up"):
        yield Change(at_ms=at_ms, what=what, about=_node(about, nodes))
    elif what == "cancel":
        for name in _job(about, named):
            yield Change(at_ms=at_ms, what=what, about=name)
    elif what == "worker_fails":
        inner = about.fields(("job", "rank"), "worker_fails")
        if "job" not in inner:
            raise about.wrong("worker_fails needs a job")
        rank = inner["rank"].whole("rank") if "rank" in inner else 0
        if rank >= WORKERS_MAX:
            raise inner["rank"].wrong(f"a job has at most {WORKERS_MAX} workers")
        for name in _job(inner["job"], named):
            yield Change(at_ms=at_ms, what=what, about=name, rank=rank)
    else:
        inner = about.fields(("name", *QUEUE_KEYS), "set_queue")
        if "name" not in inner:
            raise about.wrong("set_queue needs the name of a queue, its whole path")
        yield Change(at_ms=at_ms, what=what, about=inner["name"].text("name"))


def set_queue(queues: dict[str, Queue], item: Item, known: set[str], rules: Rules) -> None:
    """Change one queue of a tree as an event says."""
    inner = item.mapping("set_queue")
    path = inner["name"].text("name")
    if path not in queues and path not in known:
        raise inner["name"].wrong(f"there is no queue {path!r}{instead(path, (*queues, *known))}")
    queues[path] = changed(queues.get(path) or Queue(path=path), inner, rules)


def _job(item: Item, named: Mapping[str, list[str]]) -> list[str]:
    name = item.text("job")
    if name not in named:
        raise item.wrong(f"there is no job {name!r}{instead(name, tuple(named))}")
    return named[name]
