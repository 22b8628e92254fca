"""Hold a scenario: a cluster, a share tree, jobs and events, and what is expected of them.

Takes:   an `Item` tree of a scenario file (docs/scenarios.md describes the format)
Gives:   `Scenario`, all checked: what is wrong has raised InvalidInput with file and line
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from makeway.model.cluster import Allocation, ClassLimit, Node, Queue
from makeway.model.job import CLASSES, JobSpec
from makeway.model.resources import CPU, GPU, MEMORY
from makeway.model.rules import PastUsage, Preemption, Rules, Scope
from makeway.sim.located import Item, instead, option, unique

KEYS = ("cluster", "policy", "queues", "jobs", "events", "expect")
NODES_MAX = 100_000
NAMES = {CPU: "cpus", GPU: "gpus", MEMORY: "memory"}
WEIGHT_MIN = 1e-6


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """One job of a scenario: when it comes, how long it truly takes, and how it leaves.

    allocation, since_ms   it runs already, there, since then
    scaling                throughput by number of workers, from 1; empty: linear
    """

    name: str
    spec: JobSpec
    at_ms: int
    runtime_ms: int | None
    scaling: tuple[float, ...] = ()
    exit_ms: int = 0
    allocation: Allocation | None = None
    since_ms: int = 0


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happens: `what` is the event's key, `about` whom it concerns."""

    at_ms: int
    what: str
    about: str
    rank: int = 0
    queues: tuple[Queue, ...] = ()


class Expected(msgspec.Struct, frozen=True, kw_only=True):
    """What must be so at an instant; `item` is the entry of the file, by key."""

    at_ms: int
    item: Item
    fields: dict[str, Item]


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """All of a scenario file."""

    nodes: tuple[Node, ...]
    rules: Rules
    queues: tuple[Queue, ...]
    jobs: tuple[Given, ...]
    changes: tuple[Change, ...]
    expected: tuple[Expected, ...]


def nodes_of(item: Item) -> tuple[Node, ...]:
    """Read the nodes of a cluster."""
    fields = item.fields(("nodes",), "cluster")
    named: list[tuple[str, Item]] = []
    nodes = []
    for one in fields["nodes"].items("nodes") if "nodes" in fields else ():
        known = one.mapping("a node")
        if "name" not in known:
            raise one.wrong("a node needs a name")
        name = known["name"].text("name")
        count = known["count"].whole("count", 1) if "count" in known else 1
        if count > NODES_MAX:
            raise known["count"].wrong(f"count must be at most {NODES_MAX}")
        labels = known["labels"].mapping("labels") if "labels" in known else {}
        rest = {k: v for k, v in known.items() if k not in ("name", "count", "labels")}
        capacity = Item(one.file, one.line, rest).resources("a node")
        for number in range(1, count + 1):
            full = name if count == 1 else f"{name}{number}"
            named.append((full, one))
            texts = {label: value.text(label) for label, value in labels.items()}
            nodes.append(Node(name=full, capacity=capacity, labels=texts))
    unique(iter(named), "node")
    if not nodes:
        raise item.wrong("a cluster needs at least one node")
    return tuple(nodes)


def rules_of(item: Item, names: tuple[str, ...]) -> Rules:
    """Read the settings of the policy."""
    keys = ("name", "priority_scope", "classes", "preemption", "backfill", "consolidate", "usage")
    fields, known = item.fields(keys, "policy"), dict[str, object]()
    if (name := option(fields, "name")) is not None:
        known["name"] = name.one_of(names, "policy")
    if (scope := option(fields, "priority_scope")) is not None:
        known["priority_scope"] = Scope(scope.one_of(tuple(Scope), "priority_scope"))
    if (classes := option(fields, "classes")) is not None:
        known |= _classes(classes)
    if (preemption := option(fields, "preemption")) is not None:
        known["preemption"] = _preemption(preemption)
    if (backfill := option(fields, "backfill")) is not None:
        inner = backfill.fields(("depth",), "backfill")
        if "depth" in inner:
            known["backfill_depth"] = inner["depth"].whole("depth")
    consolidate = option(fields, "consolidate")
    if consolidate is not None and consolidate.flag("consolidate"):
        raise consolidate.wrong("moving running jobs (consolidate) is not there yet")
    if (usage := option(fields, "usage")) is not None:
        known["usage"] = _usage(usage)
    return Rules(**known)  # type: ignore[arg-type]  # each was read by its own reader


def _classes(item: Item) -> dict[str, object]:
    classes, scopes = dict(CLASSES), dict[int, Scope]()
    for name, one in item.mapping("classes").items():
        value = one
        if isinstance(one.value, dict):
            inner = one.fields(("value", "scope"), f"class {name}")
            if "value" not in inner:
                raise one.wrong(f"class {name} needs a value")
            value = inner["value"]
            if "scope" in inner:
                scope = Scope(inner["scope"].one_of(tuple(Scope), "scope"))
                scopes[value.whole(name, -(10**6))] = scope
        classes[name] = value.whole(name, -(10**6))
    return {"classes": classes, "class_scopes": scopes}


def _preemption(item: Item) -> Preemption:
    times = ("delay", "grace", "min_run_time", "cooldown")
    fields = item.fields(("priority", "reclaim", *times), "preemption")
    known: dict[str, object] = {}
    for key, one in fields.items():
        if key in times:
            known["min_run_ms" if key == "min_run_time" else f"{key}_ms"] = one.time_ms(key)
        else:
            known[key] = one.flag(key)
    return Preemption(**known)  # type: ignore[arg-type]  # flags and times


def _usage(item: Item) -> PastUsage:
    fields = item.fields(("half_life", "weight", "fair_tree"), "usage")
    known: dict[str, object] = {}
    if "half_life" in fields:
        known["half_life_ms"] = fields["half_life"].span_ms("half_life")
    if "weight" in fields:
        known["weight"] = fields["weight"].number("weight")
    if "fair_tree" in fields:
        known["fair_tree"] = fields["fair_tree"].flag("fair_tree")
    return PastUsage(**known)  # type: ignore[arg-type]  # a time, a number, a flag


def queues_of(item: Item, rules: Rules) -> Iterator[tuple[Queue, Item]]:
    """Read the share tree, parents first."""
    todo = [(one, "") for one in reversed(item.items("queues"))]
    seen: list[tuple[str, Item]] = []
    while todo:
        one, parent = todo.pop()
        fields = one.fields(("name", "queues", *QUEUE_KEYS), "a queue")
        if "name" not in fields:
            raise one.wrong("a queue needs a name")
        name = fields["name"].text("name")
        if "/" in name:
            raise fields["name"].wrong(f"{name!r}: a name has no slash; queues stand in queues")
        path = f"{parent}/{name}" if parent else name
        seen.append((path, one))
        unique(iter(seen), "queue")
        yield changed(Queue(path=path), fields, rules), one
        if (below := option(fields, "queues")) is not None:
            todo += [(child, path) for child in reversed(below.items("queues"))]


QUEUE_KEYS = (
    "weight", "guarantee", "limit", "borrow", "max_class", "class_limits", "max_queued",
    "max_running", "submits_per_minute", "past_usage",
)  # fmt: skip


def changed(queue: Queue, fields: dict[str, Item], rules: Rules) -> Queue:
    """Change the keys of a queue that are named."""
    known: dict[str, object] = {}
    for key, item in fields.items():
        if item.value is None or key in ("name", "queues"):
            continue
        match key:
            case "weight":
                known[key] = weight = item.number(key)
                if 0 < weight < WEIGHT_MIN:
                    raise item.wrong(f"weight must be 0, or at least {WEIGHT_MIN:g}")
            case "guarantee" | "limit":
                known[key] = item.amounts(key)
            case "past_usage":
                known[key] = {kind: amount * 1000 for kind, amount in item.amounts(key).items()}
            case "borrow":
                known[key] = item.flag(key)
            case "max_class":
                known[key] = class_of(item, rules)
            case "class_limits":
                known[key] = _class_limits(item, rules)
            case _:
                known[key] = item.whole(key)
    return msgspec.structs.replace(queue, **known)


def class_of(item: Item, rules: Rules) -> int:
    """Read the name of a class."""
    return rules.classes[item.one_of(tuple(rules.classes), "class")]


def _class_limits(item: Item, rules: Rules) -> dict[int, ClassLimit]:
    limits: dict[int, ClassLimit] = {}
    for name, one in item.mapping("class_limits").items():
        if name not in rules.classes:
            raise one.wrong(f"there is no class {name!r}{instead(name, tuple(rules.classes))}")
        fields = one.fields(("running", "resources"), f"the limit of class {name}")
        running, resources = option(fields, "running"), option(fields, "resources")
        limits[rules.classes[name]] = ClassLimit(
            running=None if running is None else running.whole("running"),
            resources=None if resources is None else resources.amounts("resources"),
        )
    return limits


def check_guarantees(queues: Mapping[str, Queue], lines: Mapping[str, Item]) -> None:
    """Refuse children whose guarantees add up to more than their parent's, where it names the kind."""
    children: dict[str, list[Queue]] = {}
    for queue in queues.values():
        children.setdefault(queue.parent, []).append(queue)
    for path, queue in queues.items():
        below = children.get(path, ())
        for kind, amount in queue.guarantee.items():
            promised = sum(one.guarantee.get(kind, 0) for one in below)
            if promised > amount:
                theirs, own = in_units(kind, promised), in_units(kind, amount)
                raise lines[path].wrong(
                    f"the queues below {path} are guaranteed {theirs:g} {NAMES.get(kind, kind)}, "
                    f"which is more than its own {own:g}"
                )


def in_units(kind: str, amount: float) -> float:
    """Write an amount in people's units: processors, devices, bytes."""
    return amount / 1000 if kind in (CPU, GPU) else amount
