"""Take a run that somebody brings to a service: check its graph, ask whether they may, bring it.

What was built by makeway is well-formed; what comes over HTTP need not be, and the engine trusts
its events. So the graph is checked once more here: names, circles, who is waited for, how much is
asked for, and the class of each step.

Raises:  InvalidInput, InvalidWorkflow: it is no workflow that could run
         NotAllowed: not this queue, not this class · NotFound: no such run · Conflict: it has ended
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator

from makeway.errors import Conflict, InvalidInput, InvalidWorkflow
from makeway.live.behind import Behind
from makeway.live.clock import fresh_id
from makeway.live.rights import assert_may, assert_may_use, assert_owns, own_queue
from makeway.model.event import RunCancelRequested, RunSubmitted
from makeway.model.phase import RunPhase
from makeway.model.workflow import Binding, FromSlot, Many, Reusable, Step, Workflow
from makeway.store.earlier import EarlierOutputs
from makeway.store.read import get_run, reusable_outputs
from makeway.store.resolve import resolve_run
from makeway.wire.runs import RunBrought, RunWanted
from makeway.wire.tokens import Caller, Scope
from makeway.workflows import check
from makeway.workflows.graph import in_order, steps_in
from makeway.workflows.ruling import assert_sound

WHERE = "run"


def bring(service: Behind, caller: Caller, wanted: RunWanted) -> RunBrought:
    """Let the engine have a run, and answer once it is durable."""
    assert_may(caller, Scope.SUBMIT)
    terms = service.terms()
    queue = wanted.queue or own_queue(caller.user, terms.declared, terms.owners)
    classes = terms.rules.classes
    if wanted.job_class not in classes:
        there = ", ".join(classes)
        raise InvalidInput(
            f"there is no class {wanted.job_class!r}; there are {there}", where=f"{WHERE}: class"
        )
    priority = classes[wanted.job_class]
    _assert_well_formed(wanted.workflow)
    _assert_there(wanted.workflow, wanted.fresh)
    for step in wanted.workflow.steps:
        assert_may_use(caller, queue, priority + step.priority, terms.owners)
    assert_may_use(caller, queue, priority, terms.owners)
    earlier = None if wanted.resumes is None else resolve_run(service.reader, wanted.resumes)
    submission = RunSubmitted(
        run=fresh_id(service.now_ms()),
        workflow=wanted.workflow,
        user=caller.user,
        queue=queue,
        priority=priority,
        resumed_from=earlier,
        reusable=() if earlier is None else _there(service, earlier),
        fresh=wanted.fresh,
    )
    for refused in service.inbox.tell([submission]).refused:
        if refused.event is submission:
            raise Conflict(refused.why, where=WHERE)
    return _brought(submission, RunPhase.RUNNING)


def cancel(service: Behind, caller: Caller, ref: str) -> RunBrought:
    """Let a run be stopped; its whole id is wanted, since a part of it may mean a job as well."""
    assert_may(caller, Scope.SUBMIT)
    row = get_run(service.reader, ref).row
    assert_owns(caller, row.user, f"run {row.id}")
    if row.phase.final:
        raise Conflict(f"it has ended: {row.phase.value}", where=f"run {row.id}")
    event = RunCancelRequested(run=row.id, text=f"cancelled by {caller.user}")
    for refused in service.inbox.tell([event]).refused:
        if refused.event is event:
            raise Conflict(refused.why, where=f"run {row.id}")
    return RunBrought(
        id=row.id, workflow=row.workflow, user=row.user, queue=row.queue,
        phase=RunPhase.CANCELLING.value, resumed_from=row.resumed_from,
    )  # fmt: skip


def _brought(submission: RunSubmitted, phase: RunPhase) -> RunBrought:
    return RunBrought(
        id=submission.run,
        workflow=submission.workflow.name,
        user=submission.user,
        queue=submission.queue,
        phase=phase.value,
        resumed_from=submission.resumed_from,
    )


def _there(service: Behind, run: str) -> tuple[Reusable, ...]:
    """Give the outputs of an earlier run that are still there."""
    kept = EarlierOutputs(service.reader, service.store)
    return tuple(
        one
        for one in reusable_outputs(service.reader, run)
        if one.output is None or kept.there(one.output)
    )


# ── is it a workflow ──────────────────────────────────────────────────────────────────────────────


def _assert_well_formed(workflow: Workflow) -> None:
    """Raise for a graph that no builder of ours has made."""
    if not workflow.steps:
        raise InvalidWorkflow("it has no steps", where=WHERE)
    several = [
        key for key, count in Counter(one.key for one in workflow.steps).items() if count > 1
    ]
    if several:
        raise InvalidWorkflow(f"several steps are named {several[0]!r}", where=WHERE)
    in_order(workflow.steps, {})
    strange = {*steps_in(workflow.result)} - {step.key for step in workflow.steps}
    if strange:
        raise InvalidWorkflow(f"its result is of {min(strange)!r}, which is no step", where=WHERE)
    for step in workflow.steps:
        _assert_step(step)
        for slot in _slots(step):
            chosen = workflow.step(slot.step).select
            if chosen is None or not 0 <= slot.slot < chosen.k:
                problem = f"it takes place {slot.slot} of {slot.step!r}, which there is not"
                raise InvalidWorkflow(problem, where=f"step {step.key}")


def _assert_there(workflow: Workflow, fresh: Collection[str]) -> None:
    strange = {*fresh} - {step.key for step in workflow.steps}
    if strange:
        raise InvalidWorkflow(f"{min(strange)!r}, to be run anew, is no step", where=WHERE)


def _assert_step(step: Step) -> None:
    where = f"step {step.key}"
    check.key(step.key, where)
    check.workers(step.workers, where)
    check.retries(step.retries, where)
    check.priority(step.priority, where)
    check.on_hopeless(step.on_hopeless, where)
    check.durability(step.durability, step.idempotent, where)
    assert_sound(step.on_failure, where)
    check.fits_bound(step.per_worker, step.max_memory_bytes, where)
    if step.per_worker.negative():
        raise InvalidWorkflow("it asks for less than nothing", where=where)
    if step.select is not None and (step.select.k < 1 or not step.select.candidates):
        raise InvalidWorkflow("it selects nothing from nobody", where=where)
    if step.select is not None:
        check.waiting(step.select.wait, len(step.select.candidates), where)


def _slots(step: Step) -> Iterator[FromSlot]:
    todo: list[Binding] = [*step.arguments.values()]
    while todo:
        match todo.pop():
            case FromSlot() as slot:
                yield slot
            case Many(items):
                todo += items
            case _:
                pass
