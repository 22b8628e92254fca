"""Say in Python what is done about which failures of a step.

    @mw.step(on_failure=[
        mw.Rule(on="OOM_HOST", do=mw.Retry(memory_factor=3)),
        mw.Rule(on=LicenceError, do=mw.Retry(5, after="2m"), hint="all licences are taken"),
        mw.Rule(on="last.exit_code = 3 and last.progress > 0.9", do=mw.Stop()),
    ])

Takes:   on   a cause (`OOM_HOST`), a class (`temporary`), a type of exception or its name, an exit
              code, a condition; or a list of these, of which each kind must match
         do   `mw.Retry(times, memory=, memory_factor=, after=, exclude_nodes=)` or `mw.Stop()`
Gives:   the rules as a job has them
Raises:  InvalidWorkflow, at the line of the rule
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from makeway.errors import InvalidInput, InvalidWorkflow, Retry
from makeway.expression import parse
from makeway.model import ruling, units
from makeway.model.record import Cause, CauseClass
from makeway.workflows import check
from makeway.workflows.annotation import shown
from makeway.workflows.handle import user_line

NAME = re.compile(r"[A-Za-z_][\w.]*")
CHANGES = ("times", "memory", "memory_factor", "after", "exclude_nodes")


class Stop(msgspec.Struct, frozen=True):
    """In a rule: it is not tried again."""


class Rule:
    """What is done about the failures that match; see the module."""

    def __init__(
        self, on: object, do: object, *, hint: str = "", name: str = "", when: str = ""
    ) -> None:
        """Take what it is for, and what is done."""
        self.where = user_line()
        try:
            read = {**self._matched(on), **self._done(do)}
        except InvalidInput as error:
            raise InvalidWorkflow(error.problem, where=self.where, hint=error.hint) from None
        texts: tuple[object, ...] = (hint, name, when)
        if not all(isinstance(one, str) for one in texts):
            raise InvalidWorkflow("hint, name and when of a rule are texts", where=self.where)
        if when:
            read["when"] = f"({read['when']}) and ({when})" if read.get("when") else when
        self.rule = ruling.Rule(where=self.where, hint=hint, name=name, **read)
        assert_sound([self.rule], self.where)

    def __repr__(self) -> str:
        return f"<{self.rule.called}>"

    def _matched(self, on: object) -> dict[str, Any]:
        found: dict[str, Any] = {}
        many = on if isinstance(on, list | tuple | set) else [on]
        for one in many:
            key, value = self._kind(one)
            if key == "when":
                found[key] = f"{found[key]} or {value}" if key in found else value
            else:
                found[key] = (*found.get(key, ()), value)
        if not found:
            raise InvalidWorkflow("a rule names what it is for", where=self.where)
        return found

    def _kind(self, one: object) -> tuple[str, object]:
        if isinstance(one, type) and issubclass(one, BaseException):
            return "exceptions", one.__name__
        if isinstance(one, int) and not isinstance(one, bool):
            return "exit_codes", one
        if isinstance(one, str) and one in {*Cause}:
            return "causes", Cause(one)
        if isinstance(one, str) and one in {*CauseClass}:
            return "classes", CauseClass(one)
        if isinstance(one, str) and NAME.fullmatch(one):
            if one.isupper():
                near = check.nearest(one, [*Cause])
                raise InvalidWorkflow(f"there is no cause {one}{near}", where=self.where)
            return "exceptions", one
        if isinstance(one, str) and one.strip():
            return "when", one
        problem = (
            f"a rule is for a cause, a class, an exception, an exit code or a condition, "
            f"not {shown(one)}"
        )
        raise InvalidWorkflow(problem, where=self.where)

    def _done(self, do: object) -> dict[str, Any]:
        if do == "stop" or isinstance(do, Stop) or do is Stop:
            return {"action": "stop"}
        if do == "retry" or do is Retry:
            do = Retry()
        if not isinstance(do, Retry):
            problem = f"a rule does mw.Retry(…) or mw.Stop(), not {shown(do)}"
            raise InvalidWorkflow(problem, where=self.where)
        strange = [key for key in do.changes if key not in CHANGES]
        if strange:
            near = check.nearest(strange[0], CHANGES)
            raise InvalidWorkflow(f"a retry has no {strange[0]}{near}", where=self.where)
        read: dict[str, Any] = {"action": "retry"}
        for key, value in do.changes.items():
            field, reader = READERS[key]
            read[field] = reader(value, self.where)
        return read


def rules_of(rules: object, where: str) -> tuple[ruling.Rule, ...]:
    """Take the rules of a step: one, or a list."""
    if isinstance(rules, Rule):
        return (rules.rule,)
    if not isinstance(rules, Sequence) or not all(isinstance(one, Rule) for one in rules):
        hint = 'on_failure=[mw.Rule(on="CONNECTION", do=mw.Retry(5))]'
        problem = f"on_failure is {shown(rules)}; it must be a list of mw.Rule"
        raise InvalidWorkflow(problem, where=where, hint=hint)
    return tuple(one.rule for one in rules)


def assert_sound(rules: Iterable[ruling.Rule], where: str) -> None:
    """Raise for a rule that no reader of ours has made."""
    for rule in rules:
        if rule.action not in ruling.ACTIONS:
            raise InvalidWorkflow(f"a rule does retry or stop, not {rule.action!r}", where=where)
        times, factor = rule.times, rule.memory_factor
        if times is not None and not 1 <= times <= ruling.RETRIES_MAX:
            problem = f"a rule retries 1 to {ruling.RETRIES_MAX} times, not {times}"
            raise InvalidWorkflow(problem, where=where)
        if factor is not None and not 1 <= factor <= ruling.FACTOR_MAX:
            problem = f"memory_factor is 1 to {ruling.FACTOR_MAX:g}, not {factor:g}"
            raise InvalidWorkflow(problem, where=where)
        if factor is not None and rule.memory_bytes is not None:
            raise InvalidWorkflow("memory and memory_factor say the same", where=where)
        least = min(rule.memory_bytes or 1, 1 + (rule.after_ms or 0))
        if least < 1:
            raise InvalidWorkflow("a rule gives less than nothing", where=where)
        if not (rule.causes or rule.classes or rule.exceptions or rule.exit_codes or rule.when):
            raise InvalidWorkflow("a rule names what it is for", where=where)
        if rule.when:
            try:
                parse(rule.when, ruling.KINDS)
            except InvalidInput as error:
                raise InvalidWorkflow(error.problem, where=where, hint=error.hint) from None


def _times(value: object, where: str) -> int:
    return check.whole(value, "times", where, least=1, most=ruling.RETRIES_MAX)


def _memory(value: Any, where: str) -> int | None:  # noqa: ANN401 - refused where it is no size
    return check.max_memory(value, where)


def _factor(value: object, where: str) -> float:
    if not check.is_number(value) or not isinstance(value, int | float):
        raise InvalidWorkflow(f"memory_factor is {shown(value)}; it is a number", where=where)
    return float(value)


def _after_ms(value: Any, where: str) -> int:  # noqa: ANN401 - refused where it is no time
    try:
        return units.ms_of(value, "after")
    except units.BadAmount as error:
        raise InvalidWorkflow(f"after: {error.problem}", where=where) from None


READERS: dict[str, tuple[str, Callable[[Any, str], object]]] = {
    "times": ("times", _times),
    "memory": ("memory_bytes", _memory),
    "memory_factor": ("memory_factor", _factor),
    "after": ("after_ms", _after_ms),
    "exclude_nodes": ("exclude_nodes", check.flag),
}
