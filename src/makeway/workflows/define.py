"""Write workflows as plain decorated Python: `@mw.step`, `@mw.workflow`, `mw.select_top`.

A workflow function is run once to build its graph. A step called in it gives a handle; called
anywhere else it simply runs, so that a step can be tested like any function. Nothing is executed
here. Everything that can be wrong with a graph is found while it is built, before any step runs: a
missing or unknown argument, a value of the wrong type, a cycle, two steps of one name.

Calls that would bear the same name are numbered in the order of the calls: `train-1`, `train-2`.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Generic, ParamSpec, TypeVar, cast, overload

from msgspec.structs import replace

from makeway.errors import InvalidInput, InvalidWorkflow
from makeway.model.workflow import Cache, Goal, Parallel
from makeway.workflows import check
from makeway.workflows.annotation import ANYTHING, hints_of, name_of, shown
from makeway.workflows.bind import Building, building, mismatch, take
from makeway.workflows.code import code_of
from makeway.workflows.handle import Call, Definition, Gathered, Handle, Options, user_line
from makeway.workflows.ruling import Rule as Ruling
from makeway.workflows.ruling import rules_of

Args = ParamSpec("Args")
Result = TypeVar("Result")


class StepFunction(Definition, Generic[Args, Result]):
    """A function that makeway can run as a step; see `step`."""

    def __init__(self, function: Callable[Args, Result], options: Options) -> None:
        """Wrap `function`, which keeps its name, its signature and its documentation."""
        functools.update_wrapper(self, function, updated=())
        self.function: Callable[Args, Result] = function
        self._options = options

    def __call__(self, *args: Args.args, **kwargs: Args.kwargs) -> Result:
        """Run the function; in a workflow function: add the step and give a handle."""
        into = building.get()
        if into is None:
            return self.function(*args, **kwargs)
        where = user_line()
        try:
            bound = inspect.signature(self.function).bind(*args, **kwargs)
        except TypeError as error:  # an argument is missing or unknown
            raise InvalidWorkflow(f"step {self._name}: {error}", where=where) from None
        try:
            call = self._call(into, bound)
        except InvalidInput as error:
            problem = f"step {self._name}: {error.problem}"
            raise InvalidWorkflow(problem, where=where, hint=error.hint) from error
        into.add(call)
        return cast("Result", Handle(call))

    def __get__(self, instance: object, owner: type | None = None) -> StepFunction[Args, Result]:
        """Refuse to be a method: the object would not be there in the worker's process."""
        if instance is not None:
            problem = f"step {self._name} is called as a method, but steps have no object"
            hint = "make it a function of the module, or a static method"
            raise InvalidWorkflow(problem, where=user_line(), hint=hint)
        return self

    def __reduce__(self) -> str:
        return self.function.__qualname__  # found by its name, as functions are

    @property
    def settings(self) -> Options:
        """Give what it asks for."""
        return self._options

    @property
    def _name(self) -> str:
        return self._options.name or self.function.__name__

    def _call(self, into: Building, bound: inspect.BoundArguments) -> Call:
        self._be_found_again()
        hints = hints_of(self.function)
        arguments = {}
        for name, hinted, value in _named_values(bound):
            wanted = hints.get(hinted, ANYTHING)
            problem = mismatch(value, wanted)
            if problem is not None:
                raise InvalidWorkflow(f"{name} is {name_of(wanted)}, but {problem}")
            try:
                arguments[name] = take(value, into)
            except InvalidInput as error:
                raise InvalidWorkflow(f"{name}: {error.problem}", hint=error.hint) from error
        if self.function not in into.codes:
            into.codes[self.function] = code_of(self.function, into.folder)
        outside = self.function.__module__ != into.module
        return Call(
            function=f"{self.function.__module__}:" * outside + self.function.__qualname__,
            where=user_line(),
            options=self._options,
            arguments=arguments,
            gives=hints.get("return", ANYTHING),
            code_digest=into.codes[self.function].digest,
        )

    def _be_found_again(self) -> None:
        """Make sure that a worker, which has only names, will come to this very function."""
        thing: object = sys.modules.get(self.function.__module__)
        for part in self.function.__qualname__.split("."):
            thing = getattr(thing, part, None)
        found = step_in(thing)
        if found is None or found.function is not self.function:
            problem = f"{self.function.__qualname__} cannot be found again by its name"
            hint = "define steps at the top level of a file, not inside a function; once a name"
            raise InvalidWorkflow(problem, hint=hint)

    def options(
        self,
        *,
        name: str | None = None,
        cpus: float | None = None,
        memory: str | float | None = None,
        gpus: float | None = None,
        workers: int | None = None,
        retries: int | None = None,
        idempotent: bool | None = None,
        priority: int | None = None,
        goal: Goal | None = None,
        tags: Mapping[str, str] | None = None,
        cache: bool | Cache | None = None,
        trigger: str | None = None,
        after: object = None,
        max_memory: str | float | None = None,
        min_rate: float | None = None,
        on_hopeless: str | None = None,
        durability: str | None = None,
        on_failure: Ruling | Sequence[Ruling] | None = None,
    ) -> StepFunction[Args, Result]:
        """Give the same step with other settings; what is not named stays as it is.

        `after` names steps (or gives handles) that must end well first without passing anything.
        """
        old, where = self._options, user_line()
        amounts = dict(old.per_worker.amounts)
        for kind, key, amount in (
            ("cpus", "cpu_milli", cpus),
            ("memory", "memory_bytes", memory),
            ("gpus", "gpu_milli", gpus),
        ):
            if amount is not None:
                one: dict[str, Any] = {"cpus": 0, "memory": 0, "gpus": 0, kind: amount}
                amounts[key] = check.request(**one, where=where)[key]
        wanted: dict[str, tuple[Any, Callable[[Any, str], Any]]] = {
            "name": (name, check.key),
            "workers": (workers, check.workers),
            "retries": (retries, check.retries),
            "idempotent": (idempotent, check.flag),
            "priority": (priority, check.priority),
            "goal": (goal, check.goal),
            "tags": (tags, check.tags),
            "cache": (cache, lambda value, place: check.cache(value, self.function, place)),
            "trigger": (trigger, check.trigger),
            "max_memory_bytes": (max_memory, check.max_memory),
            "min_rate": (min_rate, check.min_rate),
            "on_hopeless": (on_hopeless, check.on_hopeless),
            "on_failure": (on_failure, rules_of),
        }
        given = {
            key: read(value, where) for key, (value, read) in wanted.items() if value is not None
        }
        per_worker, steps = type(old.per_worker).of(amounts), (*old.after, *_each(after))
        new = replace(old, per_worker=per_worker, after=steps, **given)
        kept = check.durability(durability or old.durability, new.idempotent, where)
        new = replace(new, durability=kept)
        check.fits_bound(new.per_worker, new.max_memory_bytes, where)
        return StepFunction(self.function, new)

    def map(
        self,
        items: Iterable[Any],
        *,
        min_success: float = 1.0,
        max_parallel: int | None = None,
        **fixed: Any,  # noqa: ANN401 - what the step itself takes
    ) -> list[Result]:
        """Call the step once for each item, as its first argument; `fixed` is passed to each.

        Of the slots, `max_parallel` run at a time. Whoever takes the list needs the part
        `min_success` of them; in the place of each of the others it finds a `Failure`.
        """
        where, into = user_line(), building.get()
        if into is None:
            call: Any = self.function
            return [call(item, **fixed) for item in items]
        if isinstance(items, Handle) or not isinstance(items, list | tuple | range | set | dict):
            problem = (
                f"map wants a list that is known while the workflow is built, not {items!r:.80}"
            )
            raise InvalidWorkflow(problem, where=where)
        part = check.part(min_success, "min_success", where)
        parallel = self._options.parallel
        if max_parallel is not None:
            most = check.whole(max_parallel, "max_parallel", where, least=1, most=check.WORKERS_MAX)
            parallel = Parallel(group=f"{self._name}:{len(into.calls)}", most=most)
        one: Any = StepFunction(self.function, replace(self._options, parallel=parallel))
        return Gathered([one(item, **fixed) for item in items], min_success=part)


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
    tags: Mapping[str, str] | None = ...,
    max_memory: str | float | None = ...,
    min_rate: float | None = ...,
    on_hopeless: str = ...,
    on_failure: Ruling | Sequence[Ruling] = ...,
    cache: bool | Cache = ...,
    trigger: str = ...,
    durability: str = ...,
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
    tags: Mapping[str, str] | None = None,
    max_memory: str | float | None = None,
    min_rate: float | None = None,
    on_hopeless: str = "yield",
    on_failure: Ruling | Sequence[Ruling] = (),
    cache: bool | Cache = False,
    trigger: str = "all_success",
    durability: str = "durable",
) -> Any:
    """Make a function a step: it runs in processes of its own, with what it asks for.

    Takes:   cpus, memory, gpus   for each worker; fractions of cpus and gpus are allowed
             workers     start together or not at all, as one group; what rank 0 returns is the output
             retries     N retries (N + 1 attempts) for failures of the program itself; lost
                         connections and machines have a ledger of their own
             idempotent  False: never repeat it by itself once it has begun
             max_memory  a worker that ran out of memory gets more when it is tried again, up to that
             goal, min_rate   what it is to reach, and how fast at the least (1 is the whole, an hour)
             on_hopeless "yield" lets it go on where nobody wants the room, "stop", or "flag"
             on_failure  what is done about which failures: each `mw.Rule`, the first that matches
             trigger     what has to have become of the steps before it: `all_done`, `any_success`,
                         `at_least(2)`, `quorum(0.67)`
             cache       True, or a `Cache`: what any earlier run made of the same stands in for it
             durability  of its output: "durable", "node" or "memory"; what is lost is made again
    """
    where = user_line()
    options = Options(
        per_worker=check.request(cpus, memory, gpus, where),
        workers=check.workers(workers, where),
        retries=check.retries(retries, where),
        idempotent=check.flag(idempotent, where),
        priority=check.priority(priority, where),
        goal=None if goal is None else check.goal(goal, where),
        tags=check.tags(tags or {}, where),
        max_memory_bytes=check.max_memory(max_memory, where),
        min_rate=None if min_rate is None else check.min_rate(min_rate, where),
        on_hopeless=check.on_hopeless(on_hopeless, where),
        on_failure=rules_of(on_failure, where),
        trigger=check.trigger(trigger, where),
        durability=check.durability(durability, idempotent, where),
    )
    check.fits_bound(options.per_worker, options.max_memory_bytes, where)

    def wrap(wrapped: object) -> StepFunction[..., Any]:
        plain = _decorated(wrapped, "step")
        return StepFunction(plain, replace(options, cache=check.cache(cache, plain, where)))

    return wrap if function is None else wrap(function)


class WorkflowFunction(Definition, Generic[Args, Result]):
    """A function that builds a graph of steps; `build.build_workflow` runs it."""

    def __init__(self, function: Callable[Args, Result], on_failure: str = "continue") -> None:
        """Wrap `function`."""
        functools.update_wrapper(self, function, updated=())
        self.on_failure = on_failure
        self.function: Callable[Args, Result] = function
        self.name = function.__name__

    def __call__(self, *args: Args.args, **kwargs: Args.kwargs) -> Result:
        """Call it as a plain function: every step runs here and now, one after the other.

        Called in another workflow function, its steps become steps of that one.
        """
        return self.function(*args, **kwargs)


@overload
def workflow(function: Callable[Args, Result], /) -> WorkflowFunction[Args, Result]: ...
@overload
def workflow(
    *, on_failure: str = ...
) -> Callable[[Callable[Args, Result]], WorkflowFunction[Args, Result]]: ...


def workflow(function: Callable[..., Any] | None = None, /, *, on_failure: str = "continue") -> Any:
    """Make a function a workflow: `makeway run FILE.py` builds its graph and runs it.

    When a step fails, what does not depend on it goes on; with `on_failure="fail_fast"` all the rest
    is cancelled.
    """
    mode = check.word(on_failure, "on_failure", ("continue", "fail_fast"), user_line())
    if function is not None:
        return WorkflowFunction(_decorated(function, "workflow"), mode)
    return lambda wrapped: WorkflowFunction(_decorated(wrapped, "workflow"), mode)


def call_by_name(function: Callable[..., Any], arguments: Mapping[str, object]) -> Any:  # noqa: ANN401 - the user's
    """Call a function with arguments by name, also those that Python takes by position alone."""
    first = inspect.Parameter.POSITIONAL_ONLY
    parameters = inspect.signature(function).parameters.items()
    by_position = [name for name, each in parameters if each.kind is first and name in arguments]
    rest = {name: value for name, value in arguments.items() if name not in by_position}
    return function(*(arguments[name] for name in by_position), **rest)


def step_in(thing: object) -> StepFunction[..., Any] | None:
    """Find the step in what a name stands for: itself, or what a decorator put around it."""
    seen = 0
    while thing is not None and not isinstance(thing, StepFunction) and seen < 100:
        thing, seen = getattr(thing, "__wrapped__", None), seen + 1
    return thing if isinstance(thing, StepFunction) else None


def _named_values(bound: inspect.BoundArguments) -> Iterator[tuple[str, str, object]]:
    """Give each value with its name and the name of the parameter that annotates it."""
    parameters = bound.signature.parameters
    for name, value in bound.arguments.items():
        kind = parameters[name].kind
        if kind is inspect.Parameter.VAR_POSITIONAL:
            problem, hint = f"*{name} has no names to pass values by", "take a list instead"
            raise InvalidWorkflow(problem, hint=hint)
        if kind is not inspect.Parameter.VAR_KEYWORD:
            yield name, name, value
            continue
        for key, item in value.items():
            if key in bound.arguments and key != name:
                raise InvalidWorkflow(f"{key} is given twice, by position and in **{name}")
            yield key, name, item


def _each(after: object) -> tuple[object, ...]:
    if after is None:
        return ()
    return tuple(after) if isinstance(after, list | tuple) else (after,)


def _decorated(function: object, word: str) -> Callable[..., Any]:
    """Make sure that it is a plain function: what calls it has its name and waits for its end."""
    name, problem, hint = shown(function), "", ""
    if isinstance(function, Definition):
        name = function.function.__qualname__
        kind = "step" if isinstance(function, StepFunction) else "workflow"
        problem = f"is a {kind} already"
    elif not inspect.isroutine(function) or not inspect.isfunction(inspect.unwrap(function)):
        problem, hint = "is not a function", "decorate a function that was written with def"
    else:
        plain = inspect.unwrap(function)
        name = function.__qualname__
        if inspect.iscoroutinefunction(plain) or inspect.isasyncgenfunction(plain):
            problem, hint = "is async", "write it with def, and call asyncio.run in it"
        elif inspect.isgeneratorfunction(plain):
            problem, hint = "yields its values one by one", "return them in a list"
        elif word == "workflow" and name.endswith("<lambda>"):
            problem, hint = "has no name", "write it with def"
    if problem:
        problem = f"{name} {problem}, so it cannot be a {word}"
        raise InvalidWorkflow(problem, where=user_line(), hint=hint)
    return cast("Callable[..., Any]", function)
