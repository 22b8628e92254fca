"""Read the share tree: `queues:` of a scenario or of the configuration, to any depth.

Takes:   an `Item`, a list of queues in which queues may stand; the rules, for the names of classes
Gives:   Queues by path, parents first, each with its item
Raises:  InvalidInput, with the place
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from makeway.intake.located import Item, instead, note, option
from makeway.model.cluster import Budget, ClassLimit, Queue
from makeway.model.rules import Rules
from makeway.model.units import NAMES, in_units

WEIGHT_MIN = 1e-6
HOUR_MS = 3_600_000


def queues_of(
    item: Item, rules: Rules, further: Sequence[str] = ()
) -> Iterator[tuple[Queue, Item]]:
    """Read the share tree, parents first; what `further` keys of a queue say, the caller reads."""
    todo = [(one, "") for one in reversed(item.items("queues"))]
    seen: dict[str, Item] = {}
    while todo:
        one, parent = todo.pop()
        fields = one.fields(("name", "queues", *QUEUE_KEYS, *further), "a queue")
        if "name" not in fields:
            raise one.wrong("a queue needs a name")
        name = fields["name"].text("name")
        if "/" in name:
            raise fields["name"].wrong(f"{name!r}: a name has no slash; queues stand in queues")
        path = f"{parent}/{name}" if parent else name
        note(seen, path, one, "queue")
        yield changed(Queue(path=path), fields, rules), one
        if (below := option(fields, "queues")) is not None:
            todo += [(child, path) for child in reversed(below.items("queues"))]


QUEUE_KEYS = (
    "weight", "guarantee", "limit", "borrow", "max_class", "class_limits", "max_queued",
    "max_running", "submits_per_minute", "past_usage", "budget",
)  # fmt: skip


def changed(queue: Queue, fields: dict[str, Item], rules: Rules) -> Queue:
    """Change the keys of a queue that are named."""
    known: dict[str, object] = {}
    for key, item in fields.items():
        if item.value is None or key not in QUEUE_KEYS:
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
            case "budget":
                known[key] = _budget(item)
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


def _budget(item: Item) -> Budget:
    fields, known = item.fields(("per", "jobs", "resource_hours"), "a budget"), dict[str, object]()
    if (per := option(fields, "per")) is not None:
        known["per_ms"] = per.span_ms("per")
    if (jobs := option(fields, "jobs")) is not None:
        known["jobs"] = jobs.whole("jobs")
    if (hours := option(fields, "resource_hours")) is not None:
        amounts = hours.amounts("resource_hours")
        known["resources"] = {kind: amount * HOUR_MS for kind, amount in amounts.items()}
    return Budget(**known)  # type: ignore[arg-type]  # each key has the type of its field


def under(queues: Iterable[Queue], before: Rules, after: Rules) -> tuple[Queue, ...]:
    """Give queues whose classes mean what the same names mean under other rules.

    A queue keeps the numbers of its classes. Where only the numbers behind the names change, what
    was said of `high` is still meant of `high`.
    """
    moved = {value: name for name, value in reversed(before.classes.items())}
    number = {value: after.classes.get(name, value) for value, name in moved.items()}
    return tuple(
        msgspec.structs.replace(
            queue,
            max_class=None
            if queue.max_class is None
            else number.get(queue.max_class, queue.max_class),
            class_limits={number.get(key, key): one for key, one in queue.class_limits.items()},
        )
        for queue in queues
    )


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
