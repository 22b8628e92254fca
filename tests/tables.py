"""Build worlds for tests out of text, and compare what a policy decides with what is written there.

A table is a title, a drawing of the queue tree, and rows:

    the lighter group waits
                 lab/2      other            <- name/weight; a name belongs to the one above it that
           vision  speech                       is nearest; queues are called by their last name
    nodes    n1..n3 gpu 8 | n4 cpu 4
    running  a vision n1 n2*2 gpu 1 | b speech n3            <- without amounts: the whole node
    queued   c speech gang 2 gpu 1 prio high | d vision cpu 1 backoff 20s
             e other ps: cpu 1 + trainer: gang 2 gpu 1       <- several groups
    queues   other guarantee cpu 3 limit gpu 2 borrow no max_running 2
    rules    scope queue | min_run 60s | depth 2
    expect   start c on n2 n3 | hold d Backoff | reject e NoNodeFits
    says     d: attempt 0 did not succeed                    <- the text begins so

Rows are joined where they go on in the next line; items are parted by `|` or a new line; a range of
names stands for as many equal items. Jobs are submitted in the order in which they are written. The
row `expect` has every decision, in the plan's order; `by a b` behind a hold is compared if given.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from makeway.model.cluster import (
    Allocation,
    ClassLimit,
    Node,
    Placement,
    Queue,
)
from makeway.model.job import CLASSES, Job, WorkerGroup
from makeway.model.resources import Resources
from makeway.model.rules import Rules, Scope
from makeway.model.wait import Wait
from makeway.policy.explain import backoff
from makeway.policy.plan import (
    Decided,
    Plan,
    Preempt,
    Promise,
    Reject,
    Release,
    Reserve,
    Resize,
    Start,
)
from makeway.policy.snapshot import Running, Snapshot
from tests.builders import NOW_MS, amounts, carried_out, job, running, snapshot_of

ROUNDS_MAX = 8
TIMES = {"saves": "checkpoint_every_ms", "lasts": "time_limit_ms"}
KINDS = {"cpu": "cpus", "mem": "memory", "gpu": "gpus"}
ROWS = (
    "nodes",
    "queues",
    "rules",
    "running",
    "queued",
    "expect",
    "says",
    "share",
    "due",
    "usage",
    "demand",
)


# ── text tables ───────────────────────────────────────────────────────────────────────────────────


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """A parsed table: the world, the full path of each queue's short name, the rows of results."""

    title: str
    snapshot: Snapshot
    paths: Mapping[str, str]
    rows: Mapping[str, Sequence[str]]


def table(text: str) -> Table:
    """Parse one table; the module says how it looks."""
    title, *lines = [line for line in text.splitlines() if line.strip()]
    rows: dict[str, list[str]] = {}
    drawing: list[str] = []
    for line in lines:
        word, _, rest = line.strip().partition(" ")
        if word in ROWS:
            rows.setdefault(word, []).append(rest)
        elif rows:
            rows[[*rows][-1]].append(line)
        else:
            drawing.append(line)
    items = {row: _items(found) for row, found in rows.items()}
    queues = {queue.path.rpartition("/")[2]: queue for queue in _drawn(drawing)}
    for item in items.get("queues", ()):
        name, *words = item.split()
        queues[name] = _promised(queues.get(name, Queue(path=name)), words)
    paths = {name: queue.path for name, queue in queues.items()}
    nodes = [_node(item) for item in items.get("nodes", ())]
    snapshot = snapshot_of(
        nodes,
        [_job(item.split(), paths) for item in items.get("queued", ())],
        [_row(item, paths, nodes) for item in items.get("running", ())],
        queues.values(),
        rules=_rules(items.get("rules", ())),
    )
    return Table(title=title.strip(), snapshot=snapshot, paths=paths, rows=items)


def decided(plan: Plan, snapshot: Snapshot) -> list[str]:
    """Write a plan as the row `expect` has it: what is decided, then who waits, by submission."""
    written = [_written(one) for one in plan.decisions if not isinstance(one, Promise)]
    return written + [_held(name, wait) for name, wait in waits(plan, snapshot).items()]


def waits(plan: Plan, snapshot: Snapshot) -> dict[str, Wait]:
    """Give the reason of everybody who waits when the plan is carried out, by submission."""
    over = {one.job for one in plan.decisions if isinstance(one, Start | Reject)}
    kinds = {job.id: kind for kind, lane in snapshot.lanes.items() for job in lane}
    found = {}
    for one in sorted(snapshot.waiting(), key=lambda job: (job.order, job.id)):
        if one.id in kinds and one.id not in over:
            assert plan.explain is not None
            found[one.id] = plan.explain(kinds[one.id], one.id)
        elif one.id not in over:
            found[one.id] = backoff(one)
    return found


def check(text: str, policy: Callable[[Snapshot], Plan]) -> None:
    """Let a policy decide on a table, and then again with nothing new: only the waits stay."""
    case = table(text)
    plan = policy(case.snapshot)
    wanted = case.rows.get("expect", [])
    found = decided(plan, case.snapshot)
    for place, (want, one) in enumerate(zip(wanted, found, strict=False)):
        if " by " not in want:
            found[place] = one.partition(" by ")[0]
    assert found == wanted, f"{case.title}: found {found}"
    texts = {one.job: one.wait.text for one in plan.decisions if isinstance(one, Reject)}
    texts |= {name: wait.text for name, wait in waits(plan, case.snapshot).items()}
    for said in case.rows.get("says", ()):
        name, _, start = said.partition(": ")
        assert texts[name].startswith(start), f"{case.title}: {texts[name]}"
    assert_settled(policy, case.snapshot, plan)


def assert_settled(policy: Callable[[Snapshot], Plan], snapshot: Snapshot, plan: Plan) -> None:
    """Carry a plan out until nothing is decided any more: soon, and then the waits stay as well."""
    for _ in range(ROUNDS_MAX):
        if not plan.decisions:
            break
        snapshot = carried_out(snapshot, plan)
        plan = policy(snapshot)
    assert not plan.decisions, f"it never settles: {plan.decisions}"
    before = waits(plan, snapshot)
    assert waits(policy(snapshot), snapshot) == before


def _written(decision: Decided) -> str:
    match decision:
        case Start():
            return f"start {decision.job} on {_places(decision.allocation)}"
        case Resize():
            by = f" for {decision.beneficiary} by {decision.rule}" if decision.beneficiary else ""
            return f"resize {decision.job} to {decision.allocation.workers}{by}"
        case Preempt():
            return f"preempt {decision.job} for {decision.beneficiary} by {decision.rule}"
        case Reserve():
            return f"reserve {decision.job} on {_places(decision.allocation)}"
        case Reject():
            return f"reject {decision.job} {decision.wait.reason}"
        case Release():
            return f"release {decision.job}"
        case Promise():
            return f"promise {decision.job}"


def _held(name: str, wait: Wait) -> str:
    by = f" by {' '.join(wait.blocked_by)}" if wait.blocked_by else ""
    return f"hold {name} {wait.reason}{by}"


def _places(allocation: Allocation) -> str:
    return " ".join(_place(row) for row in allocation.placements)


def _place(row: Placement) -> str:
    count = f"*{row.count}" if row.count > 1 else ""
    return f"{row.node}{count}" + ("" if row.group == "worker" else f":{row.group}")


def _items(lines: Iterable[str]) -> list[str]:
    parts = (part.strip() for line in lines for part in line.split("|"))
    return [one for part in parts if part for one in _ranged(part)]


def _ranged(item: str) -> Iterator[str]:
    found = re.match(r"([a-z]+)(\d+)\.\.\1(\d+)( .*|$)", item)
    if not found:
        yield " ".join(item.split())
        return
    for number in range(int(found[2]), int(found[3]) + 1):
        yield f"{found[1]}{number}{found[4]}"


def _drawn(lines: Iterable[str]) -> Iterator[Queue]:
    above: list[tuple[float, str]] = []
    for line in lines:
        here = []
        for found in re.finditer(r"\S+", line):
            name, _, weight = found[0].partition("/")
            middle = (found.start() + found.end()) / 2
            parent = min(above, key=lambda one: abs(one[0] - middle))[1] if above else ""
            path = f"{parent}/{name}" if parent else name
            here.append((middle, path))
            yield Queue(path=path, weight=float(weight or 1))
        above = here


def _promised(queue: Queue, words: Sequence[str]) -> Queue:
    """Read what a queue was promised: `guarantee cpu 3 limit gpu 2 borrow no max_running 2 high 1`."""
    changes: dict[str, Any] = {}
    at: str | None = None
    for word, value in zip(words, [*words[1:], ""], strict=True):
        if word in {"guarantee", "limit"}:
            at = word
            changes[at] = {}
        elif word in {"max_running", "max_queued"}:
            changes[word], at = int(value), None
        elif word in CLASSES:  # `high 1`: one job of this class may run
            changes["class_limits"], at = {CLASSES[word]: ClassLimit(running=int(value))}, None
        elif word == "borrow":
            changes["borrow"], at = value == "yes", None
        elif at is not None and not re.fullmatch(r"[\d.]+([KMGT]iB)?", word):
            changes[at] |= _vector([word, value]).amounts or {f"{word}_milli": 0}
    return replace(queue, **changes)


def _rules(items: Iterable[str]) -> Rules:
    """Read settings: `scope queue | min_run 60s | delay 5s | depth 2 | reclaim no`."""
    rules, preemption = Rules(), Rules().preemption
    for item in items:
        key, value = item.split()
        match key:
            case "scope":
                rules = replace(rules, priority_scope=Scope(value))
            case "depth":
                rules = replace(rules, backfill_depth=int(value))
            case "consolidate":
                rules = replace(rules, consolidate=value == "yes")
            case "reclaim" | "priority":
                preemption = replace(preemption, **{key: value == "yes"})
            case _:
                preemption = replace(preemption, **{f"{key}_ms": _ms(value)})
    return replace(rules, preemption=preemption)


def _ms(text: str) -> int:
    return int(text.rstrip("s")) * 1000


def _node(item: str) -> Node:
    name, *words = item.split()
    return Node(name=name, capacity=_vector(words))


def _row(item: str, paths: Mapping[str, str], nodes: Sequence[Node]) -> Running:
    name, queue, *words = item.split()
    whole = {one.name: one.capacity for one in nodes}
    age_ms = _ms(words.pop(words.index("age") + 1)) if "age" in words else 0
    words = [word for word in words if word != "age"]
    on = [word for word in words if re.split(r"[*:]", word)[0] in whole]
    rest = [word for word in words if word not in on]
    one = _job([name, queue, *rest], paths)
    if not any(part.per_worker for part in one.spec.groups):
        full = (WorkerGroup(per_worker=whole[on[0]]),)
        one = replace(one, spec=replace(one.spec, groups=full))
    return running(one, *on, started_at_ms=NOW_MS - age_ms)


def _job(words: Sequence[str], paths: Mapping[str, str]) -> Job:
    name, queue, *rest = words
    known: dict[str, Any] = {}
    groups = []
    for part in " ".join(rest).split(" + "):
        title, colon, inner = part.rpartition(": ")
        pairs = dict(zip(*[iter(inner.split())] * 2, strict=True))
        if "prio" in pairs:
            prio = pairs.pop("prio")
            known["priority"] = CLASSES[prio] if prio in CLASSES else int(prio)
        if "backoff" in pairs:
            known["not_before_ms"] = NOW_MS + int(pairs.pop("backoff").rstrip("s")) * 1000
        for word, field in TIMES.items():
            if word in pairs:
                known[field] = _ms(pairs.pop(word))
        if "pin" in pairs:
            known["nodes"] = tuple(pairs.pop("pin").split(","))
        if "firm" in pairs:
            known["preemptible"] = pairs.pop("firm") == "no"
        count, most = int(pairs.pop("gang", 1)), int(pairs.pop("max", 0))
        vector = _vector([word for pair in pairs.items() for word in pair])
        shape = WorkerGroup(count_min=count, count_max=max(count, most), per_worker=vector)
        groups.append(replace(shape, name=title) if colon else shape)
    return job(name, paths.get(queue, queue), groups=groups, **known)


def _vector(words: Sequence[str]) -> Resources:
    amount: dict[str, Any] = {}
    for kind, number in zip(words[::2], words[1::2], strict=True):
        amount[KINDS.get(kind, kind)] = number if kind == "mem" else float(number)
    others = {kind: int(amount.pop(kind)) for kind in [*amount] if kind not in KINDS.values()}
    return amounts(**amount, **others)
