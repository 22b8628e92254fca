"""Write how a cluster is set up as a file would say it, so that it can be read again.

Takes:   Setup
Gives:   plain values, for YAML or JSON
Holds:   what is written is read as the same; past usage is left away, since it is but a beginning
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from makeway.intake.failures import PATTERN, RULE
from makeway.intake.setup import Setup
from makeway.intake.shape import Reader
from makeway.model.cluster import Budget, ClassLimit, Node, Queue, lineage_of
from makeway.model.resources import CPU, GPU
from makeway.model.rules import LIVE, Rules
from makeway.model.ruling import FailureRules, LogPattern, Rule
from makeway.model.units import NAMES, in_units

Plain = dict[str, object]
Keys = Mapping[str, tuple[str, Reader]]
HOUR_MS = 3_600_000


def plain_of(setup: Setup) -> Plain:
    """Write those parts that are there."""
    plain: Plain = {}
    rules = LIVE if setup.rules is None else setup.rules
    if setup.rules is not None:
        plain["policy"] = rules_plain(setup.rules)
    if setup.queues is not None:
        plain["queues"] = _tree(setup.queues, setup.users, rules)
    if setup.nodes is not None:
        plain["nodes"] = [node_plain(node) for node in setup.nodes]
    return plain


def rules_plain(rules: Rules) -> Plain:
    """Write every setting of a policy."""
    classes: Plain = {
        name: {"value": value, "scope": str(rules.class_scopes[value])}
        if value in rules.class_scopes
        else value
        for name, value in rules.classes.items()
    }
    preemption, usage = rules.preemption, rules.usage
    return {
        "name": rules.name,
        "priority_scope": str(rules.priority_scope),
        "classes": classes,
        "preemption": {
            "priority": preemption.priority,
            "reclaim": preemption.reclaim,
            "delay": span(preemption.delay_ms),
            "grace": span(preemption.grace_ms),
            "min_run_time": span(preemption.min_run_ms),
            "cooldown": span(preemption.cooldown_ms),
        },
        "backfill": {"depth": rules.backfill_depth},
        "consolidate": rules.consolidate,
        "enforce_time_limits": rules.enforce_time_limits,
        "usage": {
            "half_life": span(usage.half_life_ms),
            "weight": usage.weight,
            "fair_tree": usage.fair_tree,
            "told_every": span(usage.told_every_ms),
            "inverse": usage.inverse,
            "entry": span(usage.entry_ms),
            "charge_min": span(usage.charge_min_ms),
        },
    }


def failures_plain(failures: FailureRules) -> Plain:
    """Write the patterns and rules of failures."""
    return {
        "patterns": [
            _written(one, PATTERN.keys, LogPattern(pattern="")) for one in failures.patterns
        ],
        "rules": [rule_plain(one) for one in failures.rules],
    }


def rule_plain(rule: Rule) -> Plain:
    """Write one rule."""
    return _written(rule, RULE.keys, Rule(action=""))


def _written(one: LogPattern | Rule, keys: Keys, empty: LogPattern | Rule) -> Plain:
    plain: Plain = {}
    for key, (field, _) in keys.items():
        value = getattr(one, field)
        if value == getattr(empty, field):
            continue
        if field == "after_ms":
            value = span(value)
        elif isinstance(value, tuple):
            value = [*value] if len(value) > 1 else value[0]
        plain[key] = value
    return plain


def _tree(
    queues: Sequence[Queue], users: Mapping[str, tuple[str, ...]], rules: Rules
) -> list[Plain]:
    """Nest the queues; one whose parent is not there itself gets a plain parent."""
    rows: dict[str, Plain] = {}
    top: list[Plain] = []
    known = {queue.path: queue for queue in queues if queue.path}
    for queue in known.values():
        for path in reversed([*lineage_of(queue.path)][:-1]):
            if path in rows:
                continue
            parent, _, name = path.rpartition("/")
            row: Plain = {"name": name, **queue_plain(known.get(path, Queue(path=path)), rules)}
            if path in users:
                row["users"] = [*users[path]]
            rows[path] = row
            if parent:
                below = rows[parent].setdefault("queues", [])
                assert isinstance(below, list), "nothing else is written at this key"
                below.append(row)
            else:
                top.append(row)
    return top


def queue_plain(queue: Queue, rules: Rules) -> Plain:
    """Write the keys of one queue that are not as they would be anyway."""
    names = {value: name for name, value in reversed(rules.classes.items())}
    plain: Plain = {}
    if queue.weight != 1:
        plain["weight"] = int(queue.weight) if queue.weight.is_integer() else queue.weight
    for key in ("guarantee", "limit"):
        if amounts := getattr(queue, key):
            plain[key] = amounts_plain(amounts)
    if not queue.borrow:
        plain["borrow"] = False
    if queue.max_class is not None:
        plain["max_class"] = names.get(queue.max_class, str(queue.max_class))
    if queue.class_limits:
        plain["class_limits"] = {
            names.get(value, str(value)): _limit(one) for value, one in queue.class_limits.items()
        }
    for key in ("max_queued", "max_running", "submits_per_minute"):
        if (count := getattr(queue, key)) is not None:
            plain[key] = count
    if queue.budget is not None:
        plain["budget"] = _budget(queue.budget)
    return plain


def _budget(budget: Budget) -> Plain:
    plain: Plain = {"per": span(budget.per_ms)}
    if budget.jobs is not None:
        plain["jobs"] = budget.jobs
    if budget.resources:
        hours = {kind: amount // HOUR_MS for kind, amount in budget.resources.items()}
        plain["resource_hours"] = amounts_plain(hours)
    return plain


def _limit(limit: ClassLimit) -> Plain:
    plain: Plain = {}
    if limit.running is not None:
        plain["running"] = limit.running
    if limit.resources is not None:
        plain["resources"] = amounts_plain(limit.resources)
    return plain


def node_plain(node: Node) -> Plain:
    """Write one node."""
    plain: Plain = {"name": node.name, **amounts_plain(node.capacity.amounts)}
    return {**plain, "labels": dict(node.labels)} if node.labels else plain


def amounts_plain(amounts: Mapping[str, int]) -> Plain:
    """Write amounts by the names and in the units of people."""
    return {NAMES.get(kind, kind): _amount(kind, amount) for kind, amount in amounts.items()}


def _amount(kind: str, amount: int) -> float:
    whole = kind not in (CPU, GPU) or amount % 1000 == 0
    return int(in_units(kind, amount)) if whole else in_units(kind, amount)


def leaves(plain: object, name: str = "") -> Iterator[tuple[str, object]]:
    """Give every value that is no mapping, by the path of keys that lead to it."""
    if isinstance(plain, dict):
        for key, one in plain.items():
            yield from leaves(one, f"{name}.{key}" if name else str(key))
    else:
        yield name, plain


def span(ms: int) -> str:
    """Write a span of time so that it is read as the same."""
    for unit, name in ((86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1000, "s")):
        if ms and ms % unit == 0:
            return f"{ms // unit}{name}"
    return f"{ms}ms" if ms else "0s"
