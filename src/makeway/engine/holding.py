"""Keep who holds what: the room of every node, the sums by queue and class, the rows of who runs.

What is held is what is physically there: a worker that was told to leave holds its place until it
is gone. A node that is lost, removed or drained takes its room with it, and whoever held some of
that holds it until their attempt has ended.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from makeway.engine.state import State
from makeway.model.cluster import Allocation, Node, Placement, usage_of
from makeway.model.job import Job, JobSpec
from makeway.model.resources import NOTHING, Resources
from makeway.policy.held import Held
from makeway.policy.snapshot import Running


def join(state: State, node: Node) -> None:
    """Let a node come, or come back, or change its capacity; one that was drained still is."""
    known = state.draining.get(node.name) or state.lost.get(node.name)
    if known is not None and known.draining:
        node = replace(node, draining=True, drain_text=known.drain_text)
    _forget(state, node.name)
    if node.draining:
        state.draining[node.name] = node
    else:
        _open(state, node)


def drain(state: State, name: str, text: str) -> None:
    """Let nothing more start on a node, now or when it is back."""
    where = state.lost if name in state.lost else state.draining
    node = where.get(name) or state.nodes[name]
    _forget(state, name)
    where[name] = replace(node, draining=True, drain_text=text)


def undrain(state: State, name: str) -> None:
    """Let a node take work again, now or when it is back."""
    if name in state.lost:
        state.lost[name] = replace(state.lost[name], draining=False, drain_text="")
    else:
        _open(state, replace(state.draining.pop(name), draining=False, drain_text=""))


def lose(state: State, name: str) -> None:
    """Let a node go; what it was is remembered until it comes back."""
    node = state.draining.get(name) or state.nodes[name]
    _forget(state, name)
    state.lost[name] = node


def remove(state: State, name: str) -> None:
    """Let a node go for good."""
    _forget(state, name)


def _forget(state: State, name: str) -> None:
    state.lost.pop(name, None)
    state.draining.pop(name, None)
    if state.nodes.pop(name, None) is not None:
        del state.free[name]
        state.rooms.touch(name)


def _open(state: State, node: Node) -> None:
    used = NOTHING  # counted afresh: a node may come back while workers it lost still hold a place
    for running in state.running.values():
        here = [row for row in running.allocation.placements if row.node == node.name]
        used = used + usage_of(Allocation(tuple(here)), running.job.spec.shape())
    state.nodes[node.name] = node
    state.free[node.name] = node.capacity - used
    state.rooms.touch(node.name)


def begin(state: State, row: Running, at_ms: int) -> None:
    """Let a job hold what it starts with."""
    job = row.job
    _take(state, job, row.allocation.placements)
    _charge(state, job.spec, row.usage, at_ms, jobs=1)
    _file(state, row)
    if job.spec.elastic:
        state.elastic.add(job.id)


def grow(state: State, row: Running, more: Iterable[Placement], at_ms: int) -> None:
    """Let a job hold more: `row` is what it holds then."""
    before = state.running[row.job.id]
    _take(state, row.job, more)
    _charge(state, row.job.spec, row.usage - before.usage, at_ms)
    _file(state, row)


def shrink(state: State, row: Running, gone: Placement, at_ms: int) -> None:
    """Let a job hold less: `row` is what it holds then."""
    before = state.running[row.job.id]
    _give(state, row.job.spec, [gone])
    _charge(state, row.job.spec, row.usage - before.usage, at_ms)
    _file(state, row)


def end(state: State, name: str, at_ms: int) -> None:
    """Let a job hold nothing any more."""
    row = state.running.pop(name)
    spec = row.job.spec
    siblings = state.running_in[spec.queue]
    del siblings[name]
    if not siblings:
        del state.running_in[spec.queue]
    state.elastic.discard(name)
    state.leaving.pop(name, None)
    _give(state, spec, row.allocation.placements)
    _charge(state, spec, NOTHING - row.usage, at_ms, jobs=-1)


def exchange(state: State, job: Job, at_ms: int) -> None:
    """Put a changed job into the row of what it holds, which is that of its class now."""
    row = state.running[job.id]
    if row.job.spec.priority != job.spec.priority:
        _charge(state, row.job.spec, NOTHING - row.usage, at_ms, jobs=-1)
        _charge(state, job.spec, row.usage, at_ms, jobs=1)
    _file(state, replace(row, job=job))


def assert_room(state: State, job: str, spec: JobSpec, placements: Iterable[Placement]) -> None:
    """Raise if there is no room for these rows: whoever placed them has made a mistake."""
    where = over(state, spec, placements)
    assert where is None, f"{job} does not fit on {where}: a bug of the policy"


def over(state: State, spec: JobSpec, placements: Iterable[Placement]) -> str | None:
    """Name the first node that is not there or has no room for its rows, if there is one."""
    shape, asked = spec.shape(), dict[str, Resources]()
    for row in placements:
        taken = shape[row.group].times(row.count)
        asked[row.node] = asked[row.node] + taken if row.node in asked else taken
    for name, amount in asked.items():
        if name not in state.free or not amount.fits(state.free[name]):
            return name
    return None


def _file(state: State, row: Running) -> None:
    state.running[row.job.id] = row
    state.running_in.setdefault(row.job.spec.queue, {})[row.job.id] = row


def _take(state: State, job: Job, placements: Iterable[Placement]) -> None:
    shape = job.spec.shape()
    for row in placements:
        state.free[row.node] = state.free[row.node] - shape[row.group].times(row.count)
        state.rooms.touch(row.node)


def _give(state: State, spec: JobSpec, placements: Iterable[Placement]) -> None:
    shape = spec.shape()
    for row in placements:
        if row.node in state.free:  # a node that takes no work has no room to get back
            state.free[row.node] = state.free[row.node] + shape[row.group].times(row.count)
            state.rooms.touch(row.node)


def _charge(state: State, spec: JobSpec, change: Resources, at_ms: int, jobs: int = 0) -> None:
    """Change what a queue's jobs of one class hold; where no job holds anything, none is named."""
    key = (spec.queue, spec.priority)
    before = state.held.get(key)
    if before is None:
        state.held[key] = Held(jobs=jobs, usage=change)
    elif before.jobs + jobs:
        state.held[key] = Held(jobs=before.jobs + jobs, usage=before.usage + change)
    else:
        del state.held[key]
    state.spent.move(spec, change, at_ms)
    if state.past is not None:
        state.past.move(spec.queue, change, at_ms)
