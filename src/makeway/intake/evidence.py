"""Read an evidence document: what is known of one attempt that failed, or that runs and is judged.

Takes:   an `Item`, a mapping whose every key may be absent
Gives:   Incident
Raises:  InvalidInput, with the place; a key that is not known is refused with the nearest that is
"""

from __future__ import annotations

from msgspec.structs import replace

from makeway.intake import shape as of
from makeway.intake.failures import rules_of
from makeway.intake.located import Item
from makeway.intake.samples import available_of, samples_of, worker_samples_of
from makeway.intake.shape import Shape
from makeway.model import incident as ev
from makeway.model.record import Cause, Frame

INTENTS = ("preempt", "shrink", "drain", "timeout", "cancel", "memory_guard", "stop")
LEDGERS = ("app", "infra", "oom", "preempt", "data", "hang")
HOPELESS = ("yield", "stop", "flag")
DURABILITY = ("memory", "node", "durable")
NOT_THE_USERS = ("site-packages", "dist-packages", "lib/python", "<frozen")


def incident_of(item: Item) -> ev.Incident:
    """Read a whole document."""
    fields = item.fields((*DOCUMENT.keys, "node"), "an evidence document")
    if "node" in fields and "nodes" in fields:
        raise fields["node"].wrong("`node` and `nodes` say the same; give one of them")
    plain = {key: one for key, one in fields.items() if key != "node"}
    found = DOCUMENT.read(replace(item, value=plain))
    if "samples" in fields and fields["samples"].value is not None:
        found = replace(found, available=available_of(fields["samples"]))
    node = fields.get("node")
    if node is not None and node.value is not None:
        found = replace(found, nodes=(NODE.read(node),), node_key="node")
    return found


def _workers(item: Item, key: str) -> tuple[ev.WorkerSeen, ...]:
    workers = []
    for at, one in enumerate(item.items(key)):
        worker = WORKER.read(one)
        workers.append(replace(worker, rank=at) if worker.rank < 0 else worker)
    return tuple(workers)


def _request(item: Item, _key: str) -> ev.Request:
    fields = item.fields((*REQUEST.keys, "workers"), "a request")
    plain = {key: one for key, one in fields.items() if key != "workers"}
    request = REQUEST.read(replace(item, value=plain))
    workers = fields.get("workers")
    if workers is None or workers.value is None:
        return request
    if not isinstance(workers.value, dict):
        many = workers.whole("workers", 1)
        return replace(request, workers_min=many, workers_max=many)
    bounds = workers.fields(("min", "max"), "workers")
    read = {f"workers_{key}": one.whole(key, 1) for key, one in bounds.items() if one.value}
    return replace(request, **read)


def _ledgers(item: Item, key: str) -> dict[str, tuple[int, int | None]]:
    read: dict[str, tuple[int, int | None]] = {}
    for name, one in item.fields(LEDGERS, key).items():
        if one.value is None:
            continue
        pair = one.items(f"ledger {name}")
        if len(pair) != 2:
            raise one.wrong(f"ledger {name} must be [used, allowed]")
        used, allowed = pair
        limit = None if allowed.value is None else allowed.whole(f"allowed of {name}")
        read[name] = (used.whole(f"used of {name}"), limit)
    return read


def _frame(**known: object) -> Frame:
    file = str(known.get("file", ""))
    theirs = any(part in file for part in NOT_THE_USERS)
    whole = {"file": "", "line": 0, "function": "", "user": not theirs, **known}
    return Frame(**whole)  # type: ignore[arg-type]  # each was read by its own reader


def _worker(**known: object) -> ev.WorkerSeen:
    return ev.WorkerSeen(**{"rank": -1, **known})  # type: ignore[arg-type]  # likewise


def _amounts(item: Item, key: str) -> ev.Amounts:
    known: dict[str, object] = {}
    for name, one in item.mapping(key).items():
        if one.value is not None and name == "memory":
            known["memory_bytes"] = of.size(one, name)
        elif one.value is not None:
            amount = one.number(name)  # of any name, though nothing but these is compared
            known.update({name: amount} if name in ("cpus", "gpus") else {})
    return ev.Amounts(**known)  # type: ignore[arg-type]  # likewise


def _labels(item: Item, key: str) -> dict[str, str]:
    return {name: of.free_text(one, name) for name, one in item.mapping(key).items()}


def _stacks(item: Item, key: str) -> dict[int, str]:
    return {
        of.rank_of(one, name): of.free_text(one, name)
        for name, one in item.mapping(key).items()
        if one.value is not None
    }


def _ranks(item: Item, key: str) -> tuple[int, ...]:
    return tuple(one.whole("rank") for one in item.items(key))


def _cause(item: Item, key: str) -> Cause:
    return Cause(item.one_of(tuple(Cause), key))


def _intent(item: Item, _key: str) -> ev.Intent | None:
    read = INTENT.read(item)
    return read if read.kind else None


def _goal(item: Item, _key: str) -> ev.Goal | None:
    read = GOAL.read(item)
    return read if read.metric else None


ENDED = Shape("ended", ev.Ended, {
    "at": ("at_s", of.seconds), "exit_code": ("exit_code", of.any_whole),
    "signal": ("signal", of.count),
})  # fmt: skip
REQUEST = Shape("a request", ev.Request, {
    "memory": ("memory_bytes", of.size), "max_memory": ("max_memory_bytes", of.size),
    "cpus": ("cpus", of.number), "gpus": ("gpus", of.number), "elastic": ("elastic", of.flag),
    "retries": ("retries", of.count), "time_limit": ("time_limit_s", of.span),
    "grace": ("grace_s", of.span), "min_rate": ("min_rate", of.number),
    "on_hopeless": ("on_hopeless", of.word(*HOPELESS)), "idempotent": ("idempotent", of.flag),
})  # fmt: skip
INTENT = Shape("an intent", lambda **known: ev.Intent(**{"kind": "", **known}), {
    "kind": ("kind", of.word(*INTENTS)), "at": ("at_s", of.seconds),
})  # fmt: skip
KERNEL = Shape("kernel", ev.Kernel, {
    "oom_kill": ("oom_kill", of.count), "host_oom_kill": ("host_oom_kill", of.count),
    "memory_peak": ("memory_peak_bytes", of.size), "cgroup": ("cgroup", of.flag),
})  # fmt: skip
FRAME = Shape("a frame", _frame, {
    "file": ("file", of.free_text), "line": ("line", of.count),
    "function": ("function", of.free_text), "user": ("user", of.flag),
})  # fmt: skip
ERROR = Shape("an error", ev.Failure, {
    "type": ("type", of.free_text), "message": ("message", of.free_text),
    "bases": ("bases", of.texts), "errno": ("errno", of.count), "frames": ("frames", FRAME.each),
    "rank": ("rank", of.count), "at": ("at_s", of.seconds),
})  # fmt: skip
WORKER = Shape("a worker", _worker, {
    "rank": ("rank", of.count), "node": ("node", of.free_text),
    "ended": ("ended", ENDED.read), "error": ("error", ERROR.read),
})  # fmt: skip
NODE = Shape("a node", ev.NodeSeen, {
    "name": ("name", of.free_text), "alive": ("alive", of.flag),
    "draining": ("draining", of.flag), "silent_for": ("silent_for_s", of.span),
    "faults": ("faults", of.texts), "labels": ("labels", _labels),
})  # fmt: skip
INPUT = Shape("an input", ev.InputSeen, {
    "name": ("name", of.free_text), "producer": ("producer", of.free_text),
    "durability": ("durability", of.word(*DURABILITY)), "managed": ("managed", of.flag),
    "available": ("available", of.flag), "path": ("path", of.free_text),
})  # fmt: skip
CHECKPOINT = Shape("a checkpoint", ev.Checkpoint, {
    "progress": ("progress", of.number), "at": ("at_s", of.seconds),
})  # fmt: skip
GOAL = Shape("a goal", lambda **known: ev.Goal(**{"metric": "", **known}), {
    "metric": ("metric", of.free_text), "mode": ("mode", of.word("max", "min")),
    "target": ("target", of.any_number), "min_delta": ("min_delta", of.number),
})  # fmt: skip
PAST = Shape("an earlier attempt", ev.Past, {
    "attempt": ("attempt", of.count), "cause": ("cause", _cause),
    "fingerprint": ("fingerprint", of.free_text), "progress": ("progress", of.number),
    "checkpoint": ("checkpoint", of.number), "node": ("node", of.free_text),
    "memory": ("memory_bytes", of.size), "ranks": ("ranks", _ranks),
})  # fmt: skip
REPLACED = Shape("a replaced worker", ev.Replaced, {
    "rank": ("rank", of.count), "node": ("node", of.free_text), "at": ("at_s", of.seconds),
})  # fmt: skip
PHASE = Shape("a phase", ev.Phase, {
    "name": ("name", of.free_text), "since": ("since_s", of.seconds),
})  # fmt: skip
OUTPUT = Shape("an output", ev.OutputSeen, {
    "name": ("name", of.free_text), "exists": ("exists", of.flag), "valid": ("valid", of.flag),
})  # fmt: skip
DISK = Shape("disk", ev.Disk, {
    "bytes_free": ("bytes_free", of.size), "inodes_free": ("inodes_free", of.count),
    "shm_free": ("shm_free_bytes", of.size),
})  # fmt: skip
PAST_RUNS = Shape("past_runs", ev.PastRuns, {
    "p90": ("p90_s", of.span), "memory_p95": ("memory_p95_bytes", of.size),
})  # fmt: skip
OTHER = Shape("another step", ev.OtherHit, {
    "step": ("step", of.free_text), "node": ("node", of.free_text), "cause": ("cause", _cause),
})  # fmt: skip
CLUSTER = Shape("cluster", ev.Cluster, {
    "largest_node": ("largest_node", _amounts), "free": ("free", _amounts),
    "waiting": ("waiting", of.count), "deadline_in": ("deadline_in_s", of.seconds),
    "other_nodes": ("other_nodes", of.count), "others_hit": ("others_hit", OTHER.each),
})  # fmt: skip
DOCUMENT = Shape("an evidence document", ev.Incident, {
    "step": ("step", of.free_text), "now": ("now_s", of.seconds), "ended": ("ended", ENDED.read),
    "request": ("request", _request), "intent": ("intent", _intent),
    "kernel": ("kernel", KERNEL.read), "error": ("error", ERROR.read),
    "workers": ("workers", _workers), "samples": ("samples", samples_of),
    "worker_samples": ("worker_samples", worker_samples_of), "log": ("log", of.texts),
    "nodes": ("nodes", NODE.each), "inputs": ("inputs", INPUT.each),
    "checkpoint": ("checkpoint", CHECKPOINT.read), "goal": ("goal", _goal),
    "history": ("history", PAST.each), "replaced": ("replaced", REPLACED.each),
    "stacks": ("stacks", _stacks), "phase": ("phase", PHASE.read),
    "outputs": ("outputs", OUTPUT.each), "disk": ("disk", DISK.read),
    "past_runs": ("past_runs", PAST_RUNS.read), "ledgers": ("ledgers", _ledgers),
    "cluster": ("cluster", CLUSTER.read), "on_failure": ("on_failure", rules_of),
})  # fmt: skip
