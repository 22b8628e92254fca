"""Count again, the slow and plain way, every sum that is kept beside the records.

Part of `invariants`, which says when to ask. What a sum should be is counted here from jobs and
attempts alone, never from another sum.

Raises:  AssertionError with a sentence that names what is wrong
Cost:    O(all that is believed)
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from makeway.engine.dependencies import holds_back, inherited_by
from makeway.engine.past import wanted
from makeway.engine.spent import held_above_normal
from makeway.engine.state import State
from makeway.engine.waiting import stands_aside
from makeway.model.cluster import ROOT, Placement, lineage_of, usage_of
from makeway.model.job import Attempt, Job
from makeway.model.phase import AttemptPhase, JobPhase
from makeway.model.resources import NOTHING, Resources
from makeway.policy.held import Held
from makeway.policy.rooms import count_all
from makeway.policy.snapshot import Running, kind_key, kind_of


def check_sums(state: State) -> None:
    """Raise if any sum is not what the records give."""
    _check_room(state)
    _check_held(state)
    _check_leaving(state)
    _check_queues(state)
    _check_waiting(state)
    _check_lanes(state)
    _check_dependencies(state)


# ── who holds what ────────────────────────────────────────────────────────────────────────────────


def _check_room(state: State) -> None:
    used: dict[str, Resources] = defaultdict(lambda: NOTHING)
    for running in state.running.values():
        shape = running.job.spec.shape()
        for placement in running.allocation.placements:
            taken = shape[placement.group].times(placement.count)
            used[placement.node] = used[placement.node] + taken
    assert state.free.keys() == state.nodes.keys(), "free names other nodes than there are"
    both = state.nodes.keys() & state.lost.keys()
    assert not both, f"{sorted(both)} are there and lost"
    twice = state.draining.keys() & {*state.nodes, *state.lost}
    assert not twice, f"{sorted(twice)} are drained and something else"
    for name, node in state.draining.items():
        assert node.draining, f"{name} is filed as drained and is not"
        assert used[name].fits(node.capacity), f"{name} is over-committed: {used[name]}"
    for name, node in state.nodes.items():
        assert not node.draining, f"{name} is drained and takes work"
    for name, node in state.nodes.items():
        counted = node.capacity - used[name]
        assert state.free[name] == counted, f"{name}: free is {state.free[name]}, not {counted}"
        assert not counted.negative(), f"{name} is over-committed: {used[name]} of {node.capacity}"
    sizes = {group.per_worker for kind in state.lanes for group in kind.groups}
    for size in sizes:
        taking, again = state.rooms.taking(size), count_all(size, state.free)
        assert taking == again, f"rooms for {size} are {taking}, not {again}"


def _check_held(state: State) -> None:
    held: dict[tuple[str, int], Held] = {}
    rows: dict[str, dict[str, Running]] = {}
    used: dict[str, Resources] = defaultdict(lambda: NOTHING)
    for name, running in state.running.items():
        spec = running.job.spec
        usage = usage_of(running.allocation, spec.shape())
        assert running.usage == usage, f"{name} holds {usage}, not {running.usage}"
        before = held.get((spec.queue, spec.priority), Held())
        held[spec.queue, spec.priority] = Held(jobs=before.jobs + 1, usage=before.usage + usage)
        rows.setdefault(spec.queue, {})[name] = running
        for path in lineage_of(spec.queue):
            used[path] = used[path] + usage
    assert state.held == held, f"held is {state.held}, not {held}"
    sums = state.memo.sums.read(state.held).usage
    known = {path: amount for path, amount in sums.items() if not path.endswith("/")}
    below = {path: amount for path, amount in used.items() if amount}
    assert known == below, f"queues hold {below} with all that is below them, and not {known}"
    assert state.running_in == rows, "running_in has other rows than running"
    elastic = {name for name, running in state.running.items() if running.job.spec.elastic}
    assert state.elastic == elastic, f"elastic are {elastic}, not {state.elastic}"
    assert (state.past is not None) == wanted(state.rules.usage), "the past is kept and unwanted"
    above = held_above_normal((key, one.usage) for key, one in held.items())
    for path, purse in state.spent.purses.items():
        amount = above.get(path, NOTHING)
        assert purse.held == amount, f"{path or 'the root'} spends {purse.held}, not {amount}"
    if state.past is not None:
        kept = {path: amount for path, amount in state.past.held.items() if amount}
        counted = {path: amount for path, amount in used.items() if amount}
        assert kept == counted, f"the past goes on with {kept}, not {counted}"


def _check_leaving(state: State) -> None:
    leaving = {name: rows for name, one in state.attempts.items() if (rows := _on_the_way(one))}
    found = {name: _slots(rows) for name, rows in state.leaving.items()}
    assert found == leaving, f"leaving is {found}, not {leaving}"


def _on_the_way(attempt: Attempt) -> list[tuple[str, str]]:
    slots = _slots(attempt.allocation.placements)
    if attempt.phase is AttemptPhase.STOPPING:
        return slots
    return [slot for slot, one in zip(slots, attempt.workers, strict=True) if one.leaving]


def _slots(rows: Iterable[Placement]) -> list[tuple[str, str]]:
    return [(row.node, row.group) for row in rows for _ in range(row.count)]


# ── who waits ─────────────────────────────────────────────────────────────────────────────────────


def _check_queues(state: State) -> None:
    unfinished = _counted(state.jobs)
    assert state.unfinished == unfinished, f"unfinished is {state.unfinished}, not {unfinished}"
    queued = _counted(state.waiting)
    assert state.queued == queued, f"queued is {state.queued}, not {queued}"
    for path in [*state.queues, *(job.spec.queue for job in state.jobs.values())]:
        for above in lineage_of(path):
            assert above in state.queues, f"queue {above!r} is missing above {path!r}"
    wanted_paths = {ROOT, *state.declared, *unfinished}
    assert state.queues.keys() == wanted_paths, f"other queues than {sorted(wanted_paths)}"


def _counted(jobs: Mapping[str, Job]) -> dict[str, int]:
    counts: dict[str, int] = defaultdict(int)
    for job in jobs.values():
        for path in lineage_of(job.spec.queue):
            counts[path] += 1
    return counts


def _check_waiting(state: State) -> None:
    queued = {
        job.id: job
        for job in state.jobs.values()
        if job.phase is JobPhase.QUEUED and job.id not in state.pending
    }
    assert not state.refused, f"{[*state.refused]} are refused and still here"
    assert state.waiting == queued, f"waiting is {[*state.waiting]}, queued are {[*queued]}"
    held_back = state.pending.keys()
    assert state.waits.keys() <= queued.keys() | held_back, (
        "a job that does not wait has a reason to wait"
    )
    untold = {name for name in queued if name not in state.waits}
    assert untold <= state.untold.keys() <= queued.keys(), f"{untold} have no reason to wait"
    moving = {job.id for job in state.jobs.values() if job.phase is JobPhase.EVICTING}
    for kept, whom in ((state.reserved, queued.keys() | moving), (state.planned, queued.keys())):
        assert kept.keys() <= whom, f"something is kept for {[*kept]}, who do not wait"


def _check_lanes(state: State) -> None:
    lanes: dict[object, list[Job]] = {}
    for job in sorted(state.waiting.values(), key=lambda one: (one.order, one.id)):
        if job.id not in state.paused:
            lanes.setdefault(kind_key(job), []).append(job)
    found = {kind_key(lane[0]): lane for lane in state.lanes.values() if lane}
    assert len(found) == len(state.lanes), "a lane is empty, or two are of one kind"
    assert found == lanes, "the lanes are not those of who waits"
    assert state.kinds.keys() == lanes.keys(), "kinds are kept of which nobody waits"
    for key, kind in state.kinds.items():
        first = lanes[key][0]
        assert kind.priority == first.priority, f"{first.id} is in a lane of another class"
        assert kind_key(first) == key, f"{first.id} is filed under another kind"
        assert kind in state.lanes, f"{first.id} has a kind without a lane"
        for job in lanes[key]:
            assert state.kind_of[job.id] is kind, f"{job.id} is filed under another kind"
        assert kind.groups == kind_of(first).groups, f"{first.id} is in a lane of other groups"
    for name, job in state.paused.items():
        assert state.waiting[name] == job, f"{name} is paused as something else than it is"
        ends = stands_aside(job) or (job.not_before_ms, name) in state.pauses
        assert ends, f"nobody ends the pause of {name}"
    avoiding = {job.id for job in state.jobs.values() if job.avoids}
    assert state.avoiding.keys() == avoiding, f"avoiding are {avoiding}, not {state.avoiding}"
    aside = {job.id for job in state.waiting.values() if stands_aside(job)}
    assert aside <= state.paused.keys(), f"{sorted(aside)} are held and may start"


def _check_dependencies(state: State) -> None:
    dependents: dict[str, set[str]] = defaultdict(set)
    for name in state.pending:
        job = state.jobs[name]
        assert job.phase is JobPhase.QUEUED, f"{name} is held back and {job.phase.value}"
        assert holds_back(state, job.spec), f"{name} is held back for nothing"
        for after in job.spec.after:
            dependents[after.job].add(name)
    found = {name: {*children} for name, children in state.dependents.items()}
    assert found == dependents, f"dependents are {found}, not {dict(dependents)}"
    for job in state.jobs.values():
        inherited = inherited_by(state, job)
        assert job.inherited == inherited, f"{job.id} inherits {inherited}, not {job.inherited}"
