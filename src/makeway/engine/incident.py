"""Tell an attempt that has ended as an incident, for the rules that judge any incident.

What the engine believes is in it: how each worker ended, what was ordered and when, what was asked
for, the attempts before, the ledgers, the room that there is. What only the outside knows (samples,
the log's end, disks, inputs) was handed in as `AttemptSeen`, or is unknown: the rules take both.

Takes:   the state, an attempt all of whose workers have exited
Gives:   Incident; `past_of` what later attempts are to know of it
Cost:    O(workers + nodes)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from makeway.engine import hits
from makeway.engine.remake import known_makers, ledger
from makeway.engine.state import State
from makeway.model import incident as on
from makeway.model.cluster import lineage_of
from makeway.model.job import Attempt, Job, Worker
from makeway.model.record import NOT_IMPROVING, TOO_SLOW, Cause, Diagnosis, ErrorRecord, Exit
from makeway.model.resources import CPU, GPU, MEMORY, NOTHING, Resources

INTENTS = {"preempted": "preempt", "drained": "drain", "restarted": "restart", "timeout": "timeout",
           "cancel": "cancel", "hang": "hang", "barrier": "barrier", "yielded": "preempt",
           "hopeless": "stop"}  # fmt: skip
CAUSES = {NOT_IMPROVING: Cause.NOT_IMPROVING, TOO_SLOW: Cause.TOO_SLOW}
NODE = "node "  # how an exit begins that is told of a machine, and not of its worker alone
YIELDS = 75
MILLI = 1000
NOTHING_SEEN = on.Seen()


def incident_of(state: State, attempt: Attempt) -> on.Incident:
    """Put together all that is known of an attempt."""
    job, seen = state.jobs[attempt.job], attempt.seen or NOTHING_SEEN
    inputs = known_makers(state, job.id, seen.inputs)
    begun_ms = attempt.released_at_ms or attempt.started_at_ms
    ends = [exit_of(worker) for worker in attempt.workers]
    steps = [end.step for end in ends if end.step is not None]
    group = _group(attempt)
    asked = next(one.per_worker for one in job.spec.groups if one.name == group)
    ordered = attempt.stop_cause in INTENTS and attempt.stop_cause not in ("hang", "timeout")
    return on.Incident(
        name=attempt.id,
        step=job.spec.name,
        step_reached=max(steps, default=None),
        begun=any(end.started for end in ends),
        now_s=max(
            (_seconds(one.at_ms, begun_ms) for one in ends if one.lost is None), default=None
        ),
        request=_request(state, job, asked),
        intent=_intent(attempt, begun_ms),
        kernel=_kernel(ends),
        workers=tuple(_worker(one, attempt, begun_ms) for one in attempt.workers),
        nodes=tuple(_nodes(state, attempt, seen)),
        samples={name: on.series_of(track) for name, track in seen.samples.items()},
        available={name: on.series_of(track) for name, track in seen.available.items()},
        worker_samples={
            rank: {name: on.series_of(track) for name, track in known.items()}
            for rank, known in seen.worker_samples.items()
        },
        log=seen.log,
        disk=seen.disk,
        inputs=inputs,
        checkpoint=_checkpoint(ends, attempt, seen),
        goal=_goal(job),
        past_runs=seen.past_runs,
        stacks=seen.stacks,
        phase=seen.phase,
        history=job.past,
        ledgers=_ledgers(state, job, inputs),
        # Who left because it was told to is owed nothing but its place: no need to look around.
        cluster=on.Cluster() if ordered else _cluster(state, job, attempt, asked),
        on_failure=job.spec.on_failure,
    )


def running_of(state: State, attempt: Attempt, seen: on.Seen, now_ms: int) -> on.Incident:
    """Put together what counts for whether it is worth it that an attempt goes on."""
    job, begun_ms = state.jobs[attempt.job], attempt.released_at_ms or attempt.started_at_ms
    asked = job.spec.groups[0].per_worker
    return on.Incident(
        name=attempt.id,
        step=job.spec.name,
        now_s=_seconds(now_ms, begun_ms),
        request=_request(state, job, asked),
        samples={name: on.series_of(track) for name, track in seen.samples.items()},
        worker_samples={
            rank: {name: on.series_of(track) for name, track in known.items()}
            for rank, known in seen.worker_samples.items()
        },
        checkpoint=seen.checkpoint,
        goal=_goal(job),
        past_runs=seen.past_runs,
        phase=seen.phase,
        history=job.past,
        ledgers=_ledgers(state, job, ()),
        cluster=_cluster(state, job, attempt, asked),
    )


def past_of(incident: on.Incident, attempt: Attempt, diagnosis: Diagnosis) -> on.Past:
    """Say what is to be remembered of an attempt once it is gone."""
    progress, memory = incident.series("progress"), incident.request.memory_bytes
    names = {worker.rank: worker.node for worker in attempt.workers}
    several = len({*names.values()}) > 1
    rank = diagnosis.rank if diagnosis.rank in names else None
    node = None if several and rank is None else names[attempt.workers[0].rank]
    return on.Past(
        attempt=attempt.number,
        cause=diagnosis.cause,
        fingerprint=diagnosis.fingerprint,
        progress=progress[-1].value if progress else None,
        checkpoint=incident.checkpoint.progress,
        node=node if rank is None else names[rank],
        memory_bytes=memory,
        step=incident.step_reached,
        checkpoint_step=incident.checkpoint.step,
        by_itself=diagnosis.cause is Cause.PREEMPTED and incident.intent is None,
    )


def exit_of(worker: Worker) -> Exit:
    """Give how a worker ended."""
    assert worker.exit is not None, "an attempt is judged when all of its workers have exited"
    return worker.exit


# ── its workers ───────────────────────────────────────────────────────────────────────────────────


def _worker(worker: Worker, attempt: Attempt, begun_ms: int) -> on.WorkerSeen:
    end = exit_of(worker)
    if end.lost is not None and end.lost.startswith(NODE):
        return on.WorkerSeen(rank=worker.rank, node=worker.node)
    early = not end.started or attempt.released_at_ms is None
    ended = on.Ended(
        at_s=_seconds(end.at_ms, begun_ms),
        exit_code=end.code,
        signal=end.signal,
        vanished=end.lost,
        early=early,
        record=_record(end, attempt),
    )
    error = None if end.error is None else _failure(end.error, begun_ms)
    return on.WorkerSeen(rank=worker.rank, node=worker.node, ended=ended, error=error)


def _failure(error: ErrorRecord, begun_ms: int) -> on.Failure:
    return on.Failure(
        type=error.type,
        message=error.message,
        bases=error.bases,
        errno=error.errno,
        frames=error.frames,
        at_s=_seconds(error.at_ms, begun_ms) if error.at_ms else None,
    )


def _record(end: Exit, attempt: Attempt) -> str | None:
    if end.code != YIELDS:
        return None
    if end.yielded is None:
        return "none"
    return "own" if end.yielded.fence == attempt.fence else "older"


def _kernel(ends: Iterable[Exit]) -> on.Kernel:
    """Tell what was counted; no kill may also mean that nothing counted."""
    kills, elsewhere, peaks = 0, 0, [0]
    for end in ends:
        kills += end.oom_kills
        elsewhere = max(elsewhere, 0 if end.over_memory else end.host_oom_kills)
        peaks.append(end.memory_peak_bytes)
    return on.Kernel(
        oom_kill=kills or None,
        host_oom_kill=elsewhere or None,
        memory_peak_bytes=max(peaks) or None,
        cgroup=True if kills else None,
    )


def _checkpoint(ends: Iterable[Exit], attempt: Attempt, seen: on.Seen) -> on.Checkpoint:
    saved = [
        end.yielded.step
        for end in ends
        if _record(end, attempt) == "own" and end.yielded is not None
    ]
    steps = [step for step in (*saved, seen.checkpoint.step) if step is not None]
    return on.Checkpoint(
        progress=seen.checkpoint.progress,
        at_s=seen.checkpoint.at_s,
        step=max(steps, default=None),
    )


# ── what was ordered ──────────────────────────────────────────────────────────────────────────────


def _intent(attempt: Attempt, begun_ms: int) -> on.Intent | None:
    kind = INTENTS.get(attempt.stop_cause or "")
    if kind is None:
        guarded = any(exit_of(worker).over_memory for worker in attempt.workers)
        return on.Intent(kind="memory_guard") if guarded else None
    text, symptom = attempt.stop_text, attempt.symptom
    if kind == "barrier":
        missing = ", ".join(str(w.rank) for w in attempt.workers if not w.ready) or "none"
        waited_s = (attempt.barrier_at_ms - attempt.started_at_ms) / 1000
        text = f"after {waited_s:g} s missing: rank {missing}"
    stuck = symptom if kind in ("hang", "stop") else None
    at_ms = attempt.stopped_at_ms
    return on.Intent(
        kind=kind,
        at_s=None if at_ms is None else _seconds(at_ms, begun_ms),
        text=text,
        evidence=() if stuck is None else stuck.evidence,
        ranks=() if stuck is None else stuck.ranks,
        cause=CAUSES.get(stuck.name) if kind == "stop" and stuck is not None else None,
    )


# ── what it had, and what there is ────────────────────────────────────────────────────────────────


def _group(attempt: Attempt) -> str:
    """Name the group of the worker that failed: who ran out of memory, else who failed first."""

    def weight(placed: tuple[Worker, str]) -> tuple[bool, bool, int]:
        end = exit_of(placed[0])
        return not (end.over_memory or end.oom_kills), end.good, end.at_ms

    groups = [row.group for _, row, _ in attempt.allocation.ranks()]
    return min(zip(attempt.workers, groups, strict=True), key=weight)[1]


def _request(state: State, job: Job, asked: Resources) -> on.Request:
    spec = job.spec
    bounds = [spec.max_memory_bytes, *_quotas(state, job)]
    return on.Request(
        memory_bytes=asked[MEMORY] or None,
        max_memory_bytes=min((one for one in bounds if one is not None), default=None),
        cpus=asked[CPU] / MILLI,
        gpus=asked[GPU] / MILLI,
        workers_min=spec.workers_min,
        workers_max=sum(group.count_max for group in spec.groups),
        elastic=spec.elastic,
        retries=spec.retries or None,  # none asked for: what the rules allow by themselves counts
        time_limit_s=None if spec.time_limit_ms is None else spec.time_limit_ms / 1000,
        grace_s=spec.grace_ms / 1000,
        min_rate=spec.min_rate,
        on_hopeless=spec.on_hopeless.value,
        idempotent=spec.idempotent,
    )


def _quotas(state: State, job: Job) -> Iterator[int]:
    """Give the most that each queue above allows one worker of the job."""
    for path in lineage_of(job.spec.queue):
        queue = state.queues.get(path)
        if queue is not None and MEMORY in queue.limit:
            yield queue.limit[MEMORY] // max(1, job.spec.workers_min)


def _goal(job: Job) -> on.Goal | None:
    goal = job.spec.goal
    if goal is None:
        return None
    return on.Goal(metric=goal.metric, mode=goal.mode, target=goal.target, min_delta=goal.min_delta)


def _ledgers(
    state: State, job: Job, inputs: Iterable[on.InputSeen]
) -> dict[str, tuple[int, int | None]]:
    found: dict[str, tuple[int, int | None]] = {
        one.ledger: one.ledger_after
        for one in job.history
        if one.ledger is not None and one.ledger_after is not None
    }
    data = ledger(state, job.id, inputs)  # it is kept by what is lost, and for the whole run
    if data is not None:
        found["data"] = data
    used = found.pop("app", (0, 0))[0]
    return {**found, "app": (used, job.spec.retries)} if job.spec.retries else found


def _nodes(state: State, attempt: Attempt, seen: on.Seen) -> Iterator[on.NodeSeen]:
    gone = {one.node for one in attempt.workers if (exit_of(one).lost or "").startswith(NODE)}
    for name in dict.fromkeys(worker.node for worker in attempt.workers):
        node = state.nodes.get(name) or state.draining.get(name)
        yield on.NodeSeen(
            name=name,
            alive=False if name in gone else None if node is None else True,
            draining=name in state.draining,
            faults=seen.faults.get(name, ()),
            labels={} if node is None else node.labels,
        )


def _cluster(state: State, job: Job, attempt: Attempt, asked: Resources) -> on.Cluster:
    """Tell the room that there is: what is free counts what the attempt itself gives back."""
    own: dict[str, Resources] = {}
    shape = job.spec.shape()
    for row in attempt.allocation.placements:
        own[row.node] = own.get(row.node, NOTHING) + shape[row.group].times(row.count)
    allowed = set(job.spec.nodes) or state.nodes.keys()
    there = {name: node for name, node in state.nodes.items() if name in allowed}
    rooms = [state.free[name] + own.get(name, NOTHING) for name in there]
    others = [name for name, node in there.items() if name not in own and asked.fits(node.capacity)]
    return on.Cluster(
        largest_node=_most(node.capacity for node in there.values()),
        free=_most(rooms),
        waiting=others_waiting(state, job.id),
        other_nodes=len(others),
        others_hit=hits.of_others(state, job.id, _last_ms(attempt)),
    )


def _most(amounts: Iterable[Resources]) -> on.Amounts:
    known = list(amounts)
    if not known:
        return on.Amounts()
    return on.Amounts(
        memory_bytes=max(one[MEMORY] for one in known),
        cpus=max(one[CPU] for one in known) / MILLI,
        gpus=max(one[GPU] for one in known) / MILLI,
    )


def _seconds(at_ms: int, begun_ms: int) -> float:
    return (at_ms - begun_ms) / 1000


def _last_ms(attempt: Attempt) -> int:
    """Give when its last worker ended, else when it began."""
    ends = [worker.exit.at_ms for worker in attempt.workers if worker.exit is not None]
    return max(ends, default=attempt.started_at_ms)


def others_waiting(state: State, but: str) -> int:
    """Count who would take room that becomes free; who yields itself wants nobody's."""
    waiting = sum(one.spec.yielded_from is None for one in state.waiting.values())
    return waiting + _could_grow(state, but)


def _could_grow(state: State, but: str) -> int:
    """Count the running jobs, but for this one, that would take more workers if there was room."""
    return sum(
        len(state.attempts[name].workers)
        < sum(one.count_max for one in state.jobs[name].spec.groups)
        for name in state.elastic
        if name != but and name in state.attempts
    )
