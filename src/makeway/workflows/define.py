"""Write workflows as plain decorated Python: `@mw.step`, `@mw.workflow`, `mw.select_top`.

A workflow function is run once to build its graph. A step called in it gives a handle; called
anywhere else it simply runs, so that a step can be tested like any function. Nothing is executed
here. Everything that can be wrong with a graph is found while it is built, before any step runs: a
missing or unknown argument, a value of the wrong type, a cycle, two results for one name.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any, Generic, ParamSpec, TypeVar, cast, overload

from msgspec.structs import replace

from makeway.errors import InvalidWorkflow
from makeway.model.units import request
from makeway.model.workflow import Goal, SelectTop
from makeway.workflows.annotation import ANYTHING, hints_of
from makeway.workflows.code import code_digest
from makeway.workflows.handle import Call, Chosen, Handle, Options

Args = ParamSpec("Args")
Result = TypeVar("Result")

building: ContextVar[list[Call] | None] = ContextVar("building", default=None)


class StepFunction(Generic[Args, Result]):
    """A function that makeway can run as a step; see `step`."""

    def __init__(self, function: Callable[Args, Result], options: Options) -> None:
        """Wrap `function`, which keeps its name, its signature and its documentation."""
        functools.update_wrapper(self, function)
        self.function, self._options = function, options

    def __call__(self, *args: Args.args, **kwargs: Args.kwargs) -> Result:
        """Run the function; in a workflow function: add the step and give a handle."""
        calls = building.get()
        if calls is None:
            return self.function(*args, **kwargs)
        where = _where()
        try:
            bound = inspect.signature(self.function).bind(*args, **kwargs)
        except TypeError as error:
            raise InvalidWorkflow(f"step {self._name}: {error}", where=where) from None
        hints = hints_of(self.function)
        call = Call(
            function=self.function.__qualname__,
            where=where,
            options=self._options,
            arguments=_flat(bound, self.function),
            gives=hints.get("return", ANYTHING),
            wants=hints,
            code_digest=code_digest(self.function, _folder(self.function)),
        )
        calls.append(call)
        return cast("Result", Handle(call))

    @property
    def _name(self) -> str:
        return self._options.name or self.function.__name__

    def options(
        self,
        *,
        name: str | None = None,
        cpus: float | None = None,
        memory: str | float | None = None,
        gpus: float | None = None,
        workers: int | None = None,
        retries: int | None = None,
        priority: int | None = None,
        after: object = (),
        tags: dict[str, str] | None = None,
    ) -> StepFunction[Args, Result]:
        """Give the same step with other settings; what is not named stays as it is.

        `after` names steps (or gives handles) that must end well first without passing anything.
        """
        old, where = self._options, _where()
        asked = {"cpus": cpus, "memory": memory, "gpus": gpus}
        amounts = dict(old.per_worker.amounts)
        for kind, amount in asked.items():
            if amount is not None:
                one = {"cpus": 0.0, "memory": 0, "gpus": 0.0, kind: amount}
                fresh = request(**one, where=f"{where}: options")  # type: ignore[arg-type]  # by kind
                key = {"cpus": "cpu_milli", "memory": "memory_bytes", "gpus": "gpu_milli"}[kind]
                amounts[key] = fresh[key]
        new = replace(
            old,
            name=old.name if name is None else name,
            per_worker=type(old.per_worker).of(amounts),
            workers=old.workers if workers is None else _positive(workers, "workers", where),
            retries=old.retries if retries is None else _counted(retries, "retries", where),
            priority=old.priority if priority is None else priority,
            after=(*old.after, *(after if isinstance(after, list | tuple) else (after,))),
            tags=old.tags if tags is None else tags,
        )
        return StepFunction(self.function, new)


@overload
def step(function: Callable[Args, Result], /) -> StepFunction[Args, Result]: ...
@overload
def step(
    *,
    cpus: float = ...,
    memory: str | float = ...,
    gpus: float = ...,
    workers: int = ...,
    retries: int = ...,
    idempotent: bool = ...,
    priority: int = ...,
    goal: Goal | None = ...,
    tags: dict[str, str] | None = ...,
) -> Callable[[Callable[Args, Result]], StepFunction[Args, Result]]: ...


def step(
    function: Callable[..., Any] | None = None,
    /,
    *,
    cpus: float = 1,
    memory: str | float = "200MB",
    gpus: float = 0,
    workers: int = 1,
    retries: int = 0,
    idempotent: bool = True,
    priority: int = 0,
    goal: Goal | None = None,
    tags: dict[str, str] | None = None,
) -> Any:
    """Make a function a step: it runs in processes of its own, with what it asks for.

    Takes:   cpus, memory, gpus   for each worker; fractions of cpus and gpus are allowed
             workers     processes that start together or not at all and form one group; rank 0's
                         return value is the output
             retries     N retries (N + 1 attempts) for failures of the program itself; lost
                         connections and machines have a ledger of their own
             idempotent  False: never repeat it by itself once it has begun
    """
    where = _where()
    options = Options(
        per_worker=request(cpus, memory, gpus, where=f"{where}: step"),
        workers=_positive(workers, "workers", where),
        retries=_counted(retries, "retries", where),
        idempotent=idempotent,
        priority=priority,
        goal=goal,
        tags=tags or {},
    )
    if function is not None:
        return StepFunction(function, options)
    return lambda wrapped: StepFunction(wrapped, options)


def select_top(
    candidates: Sequence[Result],
    *,
    k: int = 1,
    metric: str,
    min: float | None = None,  # noqa: A002 - the word that a reader expects
    mode: str = "max",
    if_fewer: str = "proceed",
    name: str = "select",
) -> Chosen[Result]:
    """Take the `k` best candidates by the last value of a metric that they recorded.

    `min` is inclusive (with mode "min" it is the largest value allowed). Candidates that failed
    are left out. Fewer than `k` are enough unless `if_fewer="fail"`; none at all fails the run.
    """
    calls, where = building.get(), _where()
    if calls is None:
        raise InvalidWorkflow("select_top belongs into a workflow function", where=where)
    if not candidates or not all(isinstance(candidate, Handle) for candidate in candidates):
        problem = "select_top wants a list of what steps gave, at least one"
        raise InvalidWorkflow(problem, where=where)
    for value, allowed, word in ((mode, ("max", "min"), "mode"),
                                 (if_fewer, ("proceed", "fail"), "if_fewer")):  # fmt: skip
        if value not in allowed:
            problem = f"{word} is {value!r}; it can be {' or '.join(allowed)}"
            raise InvalidWorkflow(problem, where=where)
    _positive(k, "k", where)
    select = SelectTop(candidates=(), metric=metric, k=k, minimum=min, mode=mode, if_fewer=if_fewer)
    options = Options(
        name=name, per_worker=request(0, 0, 0, where), workers=1, retries=0, idempotent=True,
        priority=0, goal=None, tags={},
    )  # fmt: skip
    call = Call(
        function="select_top", where=where, options=options, arguments={}, gives=ANYTHING,
        wants={}, select=select, candidates=tuple(candidates),
    )  # fmt: skip
    calls.append(call)
    return Chosen(call, k)


class WorkflowFunction(Generic[Args, Result]):
    """A function that builds a graph of steps; `build.build_workflow` runs it."""

    def __init__(self, function: Callable[Args, Result]) -> None:
        """Wrap `function`."""
        functools.update_wrapper(self, function)
        self.function = function
        self.name = function.__name__

    def __call__(self, *args: Args.args, **kwargs: Args.kwargs) -> Result:
        """Call it as a plain function: every step runs here and now, one after the other."""
        return self.function(*args, **kwargs)


def workflow(function: Callable[Args, Result], /) -> WorkflowFunction[Args, Result]:
    """Make a function a workflow: `makeway run FILE.py` builds its graph and runs it."""
    return WorkflowFunction(function)


def _flat(bound: inspect.BoundArguments, function: Callable[..., object]) -> dict[str, object]:
    parameters = inspect.signature(function).parameters
    flat: dict[str, object] = {}
    for name, value in bound.arguments.items():
        if parameters[name].kind is inspect.Parameter.VAR_KEYWORD:
            flat |= value
        elif parameters[name].kind is inspect.Parameter.VAR_POSITIONAL:
            problem = f"step {function.__name__}: *{name} has no names to pass values by"
            raise InvalidWorkflow(problem, where=_where(), hint="take a list instead")
        else:
            flat[name] = value
    return flat


def _where() -> str:
    """Name the line of the user's file that is being run: the first frame outside makeway."""
    frame = inspect.currentframe()
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        if not module.startswith("makeway."):
            return f"{frame.f_code.co_filename}:{frame.f_lineno}"
        frame = frame.f_back
    return ""


def _folder(function: Callable[..., object]) -> str:
    module = sys.modules.get(function.__module__)
    return str(getattr(module, "__file__", "")).rpartition("/")[0]


def _positive(number: int, word: str, where: str) -> int:
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        raise InvalidWorkflow(f"{word} is {number!r}; it must be 1 or more", where=where)
    return number


def _counted(number: int, word: str, where: str) -> int:
    if not isinstance(number, int) or isinstance(number, bool) or number < 0:
        raise InvalidWorkflow(f"{word} is {number!r}; it must be 0 or more", where=where)
    return number
