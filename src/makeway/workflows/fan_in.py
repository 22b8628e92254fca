"""Gather what several steps give: all of it, the best of it, or as much as is there in time.

`gather` makes a list of outputs that a step can take, and says for how many of them it waits and how
many may be missing; `select_top` takes the best; `when` lets steps run only if an output is true. Both give something that stands for what is not known
yet, like a handle.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Iterator
from typing import TypeVar

from makeway.errors import InvalidInput, InvalidWorkflow
from makeway.model.resources import NOTHING
from makeway.model.workflow import SelectTop
from makeway.workflows import check
from makeway.workflows.annotation import ANYTHING, shown
from makeway.workflows.bind import Building, building, take
from makeway.workflows.handle import Call, Chosen, Gathered, Handle, Options, call_of, user_line

Result = TypeVar("Result")


def gather(*outputs: Result, wait: str | int = "all") -> list[Result]:
    """Gather outputs in a list that is passed on before all of them are there.

    `wait="first"` or a number: whoever takes the list begins as soon as so many have succeeded, with
    those that have, in their order. The others go on. Given to `select_top` it waits likewise, and
    for `"qualified"` too.
    """
    where = user_line()
    if building.get() is None:
        return [*outputs]
    for output in outputs:
        if not isinstance(output, Handle):
            raise InvalidWorkflow(f"{shown(output)} is no output of a step", where=where)
    if not outputs:
        raise InvalidWorkflow("gather wants outputs of steps, at least one", where=where)
    return Gathered(outputs, wait=check.waiting(wait, len(outputs), where))


@contextlib.contextmanager
def when(condition: object) -> Iterator[None]:
    """Let the steps that are called in this block run only if what a step gave is true.

    If it is false they are skipped, and what reads them alone is omitted.
    """
    into, where = building.get(), user_line()
    if into is None:
        raise InvalidWorkflow("when belongs into a workflow function", where=where)
    try:
        into.conditions.append(take(condition, into))
    except InvalidInput as error:
        raise InvalidWorkflow(f"when: {error.problem}", where=where, hint=error.hint) from None
    try:
        yield
    finally:
        into.conditions.pop()


def select_top(
    candidates: Iterable[Result],
    *,
    k: int = 1,
    metric: str,
    min: float | None = None,  # noqa: A002 - the word that a reader expects
    mode: str = "max",
    if_fewer: str = "proceed",
    wait: str | int | None = None,
    reselect: bool = False,
    cancel_losers: bool = False,
    name: str = "select",
) -> Chosen[Result]:
    """Take the `k` best candidates by the last value of a metric that they recorded.

    `min` is inclusive (with mode "min" it is the largest value allowed). Candidates that failed
    are left out. Fewer than `k` are enough unless `if_fewer="fail"`; none at all fails the run.

    `wait="qualified"` decides as soon as `k` are good enough, a number (or "first") as soon as so
    many have ended. The others go on, and with `reselect` a better one takes its place later: what
    read that place is done again. `cancel_losers` stops them instead.
    """
    into, where = building.get(), user_line()
    if into is None:
        raise InvalidWorkflow("select_top belongs into a workflow function", where=where)
    if wait is None:
        wait = candidates.wait if isinstance(candidates, Gathered) else "all"
    handles = _candidates(candidates, into, where)
    if min is not None and not (check.is_number(min) and math.isfinite(min)):
        raise InvalidWorkflow(f"min is {shown(min)}; it must be a number", where=where)
    select = SelectTop(
        candidates=(),
        metric=check.metric(metric, "metric", where),
        k=check.whole(k, "k", where, least=1, most=check.WORKERS_MAX),
        minimum=min,
        mode=check.word(mode, "mode", ("max", "min"), where),
        if_fewer=check.word(if_fewer, "if_fewer", ("proceed", "fail"), where),
        wait=check.waiting(wait, len(handles), where),
        reselect=check.flag(reselect, where, "reselect"),
        cancel_losers=check.flag(cancel_losers, where, "cancel_losers"),
    )
    if select.reselect and (select.wait == "all" or select.cancel_losers):
        problem = "with reselect it must not wait for all, nor cancel the losers: nobody came later"
        raise InvalidWorkflow(problem, where=where, hint='wait="qualified", reselect=True')
    options = Options(
        name=check.key(name, where), per_worker=NOTHING, workers=1, retries=0,
        idempotent=True, priority=0, goal=None, tags={},
    )  # fmt: skip
    call = Call(
        function="select_top", where=where, options=options, gives=ANYTHING, select=select,
        candidates=handles,
    )  # fmt: skip
    into.add(call)
    return Chosen(call, k)


def _candidates(given: object, into: Building, where: str) -> tuple[Handle, ...]:
    found: list[Handle] = []
    # To Python a handle is an iterator too: it has what an iterator has.
    several: Iterable[object] = ()
    if isinstance(given, list | tuple | Iterator) and not isinstance(given, Handle):
        several = given
    for candidate in several:
        if not isinstance(candidate, Handle):
            raise InvalidWorkflow(
                f"{shown(candidate)} is no output of a step, so it cannot be selected", where=where
            )
        call, slot = call_of(candidate)
        if slot is not None:
            problem = "a place of a selection cannot be selected again"
            raise InvalidWorkflow(problem, where=where)
        if not into.owns(call):
            raise InvalidWorkflow(f"{candidate!r} comes from another workflow", where=where)
        if any(call is call_of(other)[0] for other in found):
            raise InvalidWorkflow(f"the {candidate!r:.80} is a candidate twice", where=where)
        found.append(candidate)
    if not found:
        problem = "select_top wants a list of what steps gave, at least one"
        raise InvalidWorkflow(problem, where=where)
    return tuple(found)
