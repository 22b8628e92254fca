"""Read the jobs and the events of a scenario file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec.structs import replace

from makeway.model.cluster import Allocation, Placement, Queue
from makeway.model.job import SYSTEM_MIN, After, Domain, JobSpec, On, WorkerGroup
from makeway.model.rules import Rules
from makeway.sim.located import Item, instead, option
from makeway.sim.scenario import QUEUE_KEYS, Change, Given, changed, class_of

KEYS = (
    "name", "queue", "at", "copies", "workers", "per_worker", "groups", "class", "priority",
    "runtime", "scaling", "time_limit", "expected", "preemptible", "checkpoint_every", "after",
    "nodes", "running", "exit_time", "domain", "retries", "user",
)  # fmt: skip
COPIES_MAX = 1_000_000
WORKERS_MAX = 100_000
EVENTS = ("node_down", "node_up", "cancel", "set_queue", "worker_fails")
# A victim leaves after its own exit time, at the latest after the policy's grace time.
PATIENT_MS = 1 << 40


def jobs_of(item: Item, nodes: Mapping[str, object], rules: Rules) -> Iterator[tuple[Given, Item]]:
    """Read one entry of `jobs`, once for each copy."""
    fields = item.fields(KEYS, "a job")
    if "name" not in fields:
        raise item.wrong("a job needs a name")
    name = fields["name"].text("name")
    copies = fields["copies"].whole("copies", 1) if "copies" in fields else 1
    if copies > COPIES_MAX:
        raise fields["copies"].wrong(f"copies must be at most {COPIES_MAX}")
    given = _one(name, fields, item, rules)
    given = _placed(given, fields, nodes)
    for number in range(1, copies + 1):
        full = name if copies == 1 else f"{name}{number}"
        yield replace(given, name=full, spec=replace(given.spec, name=full)), item


def after_of(item: Item, named: Mapping[str, list[str]]) -> tuple[After, ...]:
    """Read what a job waits for: names, or names with the end that is meant."""
    found = []
    for one in item.items("after"):
        on, target = On.SUCCEEDED, one
        if isinstance(one.value, dict):
            fields = one.fields(("job", "on"), "after")
            if "job" not in fields:
                raise one.wrong("after needs a job")
            target = fields["job"]
            if "on" in fields:
                on = On(fields["on"].one_of(tuple(On), "on"))
        found += [After(job=full, on=on) for full in _job(target, named)]
    return tuple(found)


def _one(name: str, fields: Mapping[str, Item], item: Item, rules: Rules) -> Given:
    groups = _groups(fields, item)
    queue = fields["queue"].text("queue") if "queue" in fields else "default"
    if any(not part for part in queue.split("/")):
        raise fields["queue"].wrong(f"{queue!r} is no path of queues")
    times = {
        key: fields[key].time_ms(key) if option(fields, key) is not None else None
        for key in ("at", "exit_time")
    } | {
        key: fields[key].span_ms(key) if option(fields, key) is not None else None
        for key in ("runtime", "time_limit", "expected", "checkpoint_every")
    }
    spec = JobSpec(
        name=name,
        user=fields["user"].text("user") if "user" in fields else queue,
        queue=queue,
        priority=_priority(fields, rules),
        groups=groups,
        retries=fields["retries"].whole("retries") if "retries" in fields else 0,
        grace_ms=PATIENT_MS,
        time_limit_ms=times["time_limit"],
        expected_ms=times["expected"],
        known_ms=times["runtime"],
        preemptible=fields["preemptible"].flag("preemptible") if "preemptible" in fields else True,
        checkpoint_every_ms=times["checkpoint_every"],
        domain=_domain(fields),
    )
    scaling = _scaling(fields, sum(group.count_max for group in groups))
    return Given(
        name=name, spec=spec, at_ms=times["at"] or 0, runtime_ms=times["runtime"],
        scaling=scaling, exit_ms=times["exit_time"] or 0,
    )  # fmt: skip


def _groups(fields: Mapping[str, Item], item: Item) -> tuple[WorkerGroup, ...]:
    if "groups" not in fields:
        per_worker = fields.get("per_worker")
        return (_group("worker", fields.get("workers") or _who_run(fields), per_worker),)
    for key in ("workers", "per_worker"):
        if key in fields:
            raise fields[key].wrong(f"groups stand in place of {key}")
    groups: list[WorkerGroup] = []
    for one in fields["groups"].items("groups"):
        inner = one.fields(("name", "workers", "per_worker"), "a group")
        if "name" not in inner:
            raise one.wrong("a group needs a name")
        name = inner["name"].text("name")
        if any(group.name == name for group in groups):
            raise one.wrong(f"there are two groups called {name!r}")
        groups.append(_group(name, inner.get("workers"), inner.get("per_worker")))
    if not groups:
        raise item.wrong("a job needs at least one group")
    return tuple(groups)


def _who_run(fields: Mapping[str, Item]) -> Item | None:
    """Count the workers of a job that says where it runs, and not how many it has."""
    item = option(fields, "running")
    on = None if item is None else item.mapping("running").get("on")
    if on is None or not isinstance(on.value, list) or not on.value:
        return None
    return Item(on.file, on.line, len(on.value))


def _group(name: str, workers: Item | None, per_worker: Item | None) -> WorkerGroup:
    least = most = 1
    if workers is not None and isinstance(workers.value, dict):
        bounds = workers.fields(("min", "max"), "workers")
        if len(bounds) < 2:
            raise workers.wrong("elastic workers need min and max")
        least, most = bounds["min"].whole("min", 1), bounds["max"].whole("max", 1)
        if least > most:
            raise workers.wrong(f"min {least} is more than max {most}")
    elif workers is not None:
        least = most = workers.whole("workers", 1)
    if workers is not None and most > WORKERS_MAX:
        raise workers.wrong(f"a job has at most {WORKERS_MAX} workers")
    asked = WorkerGroup(name=name, count_min=least, count_max=most)
    return (
        asked
        if per_worker is None
        else replace(asked, per_worker=per_worker.resources("per_worker"))
    )


def _priority(fields: Mapping[str, Item], rules: Rules) -> int:
    if "class" in fields and "priority" in fields:
        raise fields["priority"].wrong("a job has a class or a priority, not both")
    if "class" in fields:
        return class_of(fields["class"], rules)
    if "priority" not in fields:
        return rules.classes["medium"]
    number = fields["priority"].whole("priority", -(10**6))
    if number >= SYSTEM_MIN:
        raise fields["priority"].wrong(
            f"{SYSTEM_MIN} and more are for the administrators' classes: use class"
        )
    return number


def _domain(fields: Mapping[str, Item]) -> Domain | None:
    item = option(fields, "domain")
    if item is None:
        return None
    inner = item.fields(("label", "required"), "domain")
    if "label" not in inner:
        raise item.wrong("domain needs a label")
    required = inner["required"].flag("required") if "required" in inner else True
    return Domain(label=inner["label"].text("label"), required=required)


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
            f"one node a worker: the job has {asked} workers, and on names {len(on)} nodes "
            "(without workers, it has as many as on names)"
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
