"""Read a whole scenario file: each part by its own reader, and then what concerns several parts."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from msgspec.structs import replace

from makeway.intake.located import Item, option, unique
from makeway.intake.nodes import nodes_of
from makeway.intake.queues import check_guarantees, queues_of
from makeway.intake.rules import rules_of
from makeway.model.cluster import Node, Queue, lineage_of
from makeway.model.rules import Rules
from makeway.sim.expect import KINDS, check
from makeway.sim.scenario import KEYS, Change, Expected, Given, Scenario
from makeway.sim.scenario_jobs import after_of, change_of, jobs_of, set_queue


def scenario_of(item: Item, policies: tuple[str, ...]) -> Scenario:
    """Read a scenario; `policies` are the names of those that there are."""
    if item.value is None:
        raise item.wrong("the file is empty; a scenario has a cluster and jobs")
    fields = item.fields(KEYS, "a scenario")
    if "cluster" not in fields:
        raise item.wrong("a scenario needs a cluster")
    nodes = _cluster(fields["cluster"])
    policy = option(fields, "policy")
    rules = Rules() if policy is None else rules_of(policy, policies)
    declared = option(fields, "queues")
    tree = [] if declared is None else [*queues_of(declared, rules)]
    queues = {queue.path: queue for queue, _ in tree}
    check_guarantees(queues, {queue.path: at for queue, at in tree})
    jobs, named = _jobs(option(fields, "jobs"), nodes, rules)
    paths = {path for job in jobs for path in lineage_of(job.spec.queue)} | {*queues}
    known = ({job.name for job in jobs}, paths)
    return Scenario(
        nodes=nodes,
        rules=rules,
        queues=tuple(queues.values()),
        jobs=jobs,
        changes=tuple(_changes(option(fields, "events"), nodes, named, (queues, jobs, rules))),
        expected=tuple(_expected(option(fields, "expect"), known)),
    )


def _cluster(item: Item) -> tuple[Node, ...]:
    fields = item.fields(("nodes",), "cluster")
    nodes = nodes_of(fields["nodes"]) if "nodes" in fields else ()
    if not nodes:
        raise item.wrong("a cluster needs at least one node")
    return nodes


def _jobs(
    item: Item | None, nodes: tuple[Node, ...], rules: Rules
) -> tuple[tuple[Given, ...], dict[str, list[str]]]:
    known = {node.name: node for node in nodes}
    read: list[tuple[Given, Item]] = []
    named: dict[str, list[str]] = {}
    for one in item.items("jobs") if item is not None else ():
        found = [*jobs_of(one, known, rules)]
        read += found
        entry = one.mapping("a job")["name"].text("name")
        named.setdefault(entry, []).extend(given.name for given, _ in found)
        for given, _ in found:
            if given.name != entry:
                named.setdefault(given.name, []).append(given.name)
    unique(((given.name, at) for given, at in read), "job")
    jobs = []
    for given, at in read:
        after = option(at.mapping("a job"), "after")
        waits = after_of(after, named) if after is not None else ()
        jobs.append(replace(given, spec=replace(given.spec, after=waits)))
    _no_circle({job.name: job for job in jobs}, {given.name: at for given, at in read})
    _has_room(read, known)
    return tuple(jobs), named


def _has_room(read: Sequence[tuple[Given, Item]], nodes: Mapping[str, Node]) -> None:
    """Refuse what runs already and is more than its nodes have."""
    free = {name: node.capacity for name, node in nodes.items()}
    for given, at in read:
        for row in given.allocation.placements if given.allocation is not None else ():
            asked = given.spec.shape()[row.group].times(row.count)
            if not asked.fits(free[row.node]):
                problem = f"{given.name} cannot run on {row.node}: it has no room for that worker"
                raise at.mapping("a job")["running"].wrong(problem)
            free[row.node] = free[row.node] - asked


def _no_circle(jobs: Mapping[str, Given], lines: Mapping[str, Item]) -> None:
    """Refuse jobs that wait for each other in a circle, by name."""
    done: set[str] = set()
    for start in jobs:
        way, todo = dict[str, None](), [(start, False)]
        while todo:
            name, left = todo.pop()
            if left:
                done.add(way.popitem()[0])
            elif name in way:
                names = [*way]
                circle = " -> ".join([*names[names.index(name) :], name])
                raise lines[name].wrong(f"jobs wait for each other in a circle: {circle}")
            elif name not in done:
                way[name] = None
                todo.append((name, True))
                todo += [(after.job, False) for after in jobs[name].spec.after]


def _changes(
    events: Item | None,
    nodes: tuple[Node, ...],
    named: Mapping[str, list[str]],
    world: tuple[dict[str, Queue], tuple[Given, ...], Rules],
) -> Iterator[Change]:
    queues, jobs, rules = world
    known = {path for job in jobs for path in lineage_of(job.spec.queue) if path}
    by_name = {node.name: node for node in nodes}
    entries = events.items("events") if events is not None else []
    read = [(change, one) for one in entries for change in change_of(one, by_name, named)]
    tree = dict(queues)
    for change, one in sorted(read, key=lambda pair: pair[0].at_ms):
        if change.what == "set_queue":
            item = one.mapping("an event")["set_queue"]
            set_queue(tree, item, known, rules)
            check_guarantees(tree, dict.fromkeys(tree, item))
            yield replace(change, queues=tuple(tree.values()))
        else:
            yield change


def _expected(
    item: Item | None, known: tuple[Collection[str], Collection[str]]
) -> Iterator[Expected]:
    for one in item.items("expect") if item is not None else ():
        fields = one.fields(("at", *KINDS), "expect")
        if "at" not in fields:
            raise one.wrong("expect needs at")
        at_ms = fields["at"].time_ms("at")
        rest = {key: value for key, value in fields.items() if key != "at"}
        expected = Expected(at_ms=at_ms, item=one, fields=rest)
        check(expected, *known)
        yield expected
