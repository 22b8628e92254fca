"""Turn a search into a condition on the rows of a body.

Every condition is true or false, never unknown: what has no value fulfils `IS NULL` alone. What
belongs to a row is asked for by `key IN (SELECT ...)`, so that an index leads from a name and a value
to the rows, and not from each row to all that it has.

A run has many steps: a condition holds if it holds for one of them. Those on `steps.` and `failure.`
that stand under one AND speak of the same step, those on `datasets.` of one data set, and those on
`artifacts.` of one artifact.

Raises:  InvalidInput with a caret: a name that is not there, with the nearest; a value of the wrong
         kind
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime

import sqlalchemy as sa

from makeway.lineage.query import And, Compare, Not, Or, Query, Value, compares, nearest, wrong
from makeway.store import schema
from makeway.store.bodies import (
    ALIASES,
    STEP,
    Body,
    Condition,
    Expression,
    Sort,
    attribute,
)
from makeway.store.matching import matches

CONDITIONS_MAX, DEEP_MAX = 100, 20
TOGETHER = {"steps": "steps", "failure": "steps", "datasets": "datasets", "artifacts": "artifacts"}
# The words of MLflow for where a run stands.
STATES = {"finished": "succeeded", "killed": "cancelled", "scheduled": "queued"}
OPERATORS: dict[str, Callable[[Expression, Expression], Condition]] = {
    "=": lambda left, right: left == right,
    "!=": lambda left, right: left != right,
    "<": lambda left, right: left < right,
    "<=": lambda left, right: left <= right,
    ">": lambda left, right: left > right,
    ">=": lambda left, right: left >= right,
}

EXECUTIONS, METRICS = schema.execution.c, schema.metric.c
PARAMS, TAGS, ATTEMPTS = schema.param.c, schema.tag.c, schema.attempt.c
ARTIFACTS, USES = schema.artifact.c, schema.artifact_use.c
STEP_FIELDS: dict[str, tuple[Expression, Sort]] = {
    "name": (STEP.c.name, Sort.TEXT), "key": (STEP.c.name, Sort.TEXT),
    "id": (STEP.c.id, Sort.TEXT), "state": (STEP.c.phase, Sort.STATE),
    "status": (STEP.c.phase, Sort.STATE), "phase": (STEP.c.phase, Sort.STATE),
}  # fmt: skip
FAILURE_FIELDS: dict[str, tuple[Expression, Sort]] = {
    "cause": (ATTEMPTS.cause, Sort.TEXT), "class": (ATTEMPTS.cause_class, Sort.TEXT),
    "confidence": (ATTEMPTS.confidence, Sort.TEXT), "text": (ATTEMPTS.text, Sort.TEXT),
    "hint": (ATTEMPTS.hint, Sort.TEXT), "fingerprint": (ATTEMPTS.fingerprint, Sort.TEXT),
    "ledger": (ATTEMPTS.ledger, Sort.TEXT), "attempt": (ATTEMPTS.number, Sort.NUMBER),
    "rank": (ATTEMPTS.rank, Sort.NUMBER),
}  # fmt: skip
# What a program named is known by that name; what a step gave is known by the argument it went to.
USED_AS = sa.case((ARTIFACTS.name != "", ARTIFACTS.name), else_=USES.key)
USE_FIELDS: dict[str, tuple[Expression, Sort]] = {
    "name": (USED_AS, Sort.TEXT), "digest": (ARTIFACTS.digest, Sort.TEXT),
    "key": (USES.key, Sort.TEXT), "context": (USES.context, Sort.TEXT), "kind": (ARTIFACTS.kind, Sort.TEXT),
    "codec": (ARTIFACTS.codec, Sort.TEXT), "uri": (ARTIFACTS.uri, Sort.TEXT),
    "size_bytes": (ARTIFACTS.size_bytes, Sort.NUMBER), "role": (USES.role, Sort.TEXT),
}  # fmt: skip
FIELDS = {
    "steps": STEP_FIELDS, "failure": FAILURE_FIELDS,
    "datasets": USE_FIELDS, "artifacts": USE_FIELDS,
}  # fmt: skip


class Reading:
    """Turns a search of one kind into conditions; `text` is shown where something is wrong."""

    def __init__(self, bodies: tuple[Body, ...], body: Body, text: str) -> None:
        """Take the bodies of the kind, and the one that is asked about."""
        self._bodies, self._body, self._text = bodies, body, text

    def condition(self, query: Query | None) -> Condition:
        """Give the condition of a search; None stands for everything."""
        match query:
            case None:
                return sa.true()
            case Or(terms):
                return sa.or_(*map(self.condition, terms))
            case Not(Not(term)):
                return self.condition(term)
            case Not(term):
                return sa.not_(self.condition(term))
            case And():
                return sa.and_(*self._all_of(query))
            case Compare():
                return self._one(query)

    # ── what stands under one AND ─────────────────────────────────────────────────────────────────

    def _all_of(self, query: And) -> Iterator[Condition]:
        together: dict[str, list[Compare]] = {}
        for term in flat(query):
            group = group_of(term)
            if group is None:
                yield self.condition(term)
            else:
                together.setdefault(group, []).append(positive(term))
        for terms in together.values():
            yield self._belonging(terms)

    def _one(self, one: Compare) -> Condition:
        if one.operator == "NULL":
            return sa.not_(self._one(there(one)))
        match one.prefix:
            case "attributes":
                return self._attribute(one)
            case "metrics":
                return self._metric(one)
            case "params":
                return self._of_key(PARAMS.execution, PARAMS.key == one.name, self._param(one))
            case "tags":
                return self._of_key(
                    TAGS.subject, TAGS.key == one.name, self.compare(one, TAGS.value, Sort.TEXT)
                )
            case _:
                return self._belonging([one])

    # ── what a row has ────────────────────────────────────────────────────────────────────────────

    def _attribute(self, one: Compare) -> Condition:
        found = attribute(self._bodies, self._body, one.name)
        if found is None:
            known = {*ALIASES, *(name for body in self._bodies for name in body.attributes)}
            raise self._unknown(one, "attribute", sorted(known))
        return self.compare(one, found.value, found.sort)

    def _metric(self, one: Compare) -> Condition:
        value = self.compare(one, METRICS[one.aggregate or "last"], Sort.NUMBER)
        named = METRICS.name == one.name
        if self._body.by_run:
            return self._body.key.in_(sa.select(METRICS.run).where(named, value))
        of_step = self._body.key.in_(sa.select(METRICS.subject).where(named, value))
        if self._body.name != "artifact":
            return of_step
        # A metric of its own goes before that of the step, which may have made several.
        own = ARTIFACTS.digest.in_(sa.select(METRICS.subject).where(named, value))
        has_own = ARTIFACTS.digest.in_(sa.select(METRICS.subject).where(named))
        return sa.or_(own, sa.and_(sa.not_(has_own), of_step))

    def _param(self, one: Compare) -> Condition:
        if one.operator == "THERE":
            return sa.true()
        return sa.or_(*(self._param_value(one, value) for value in one.values))

    def _param_value(self, one: Compare, value: Value) -> Condition:
        compare = OPERATORS.get("=" if one.operator == "IN" else one.operator)
        if isinstance(value, str):
            return self.compare(single(one, value), PARAMS.value_text, Sort.TEXT)
        assert compare is not None, "LIKE takes texts alone"
        truth, number = isinstance(value, bool), sa.literal(float(value), sa.Double)
        sort = PARAMS.value_type == "bool" if truth else PARAMS.value_type != "bool"
        return sa.and_(sort, PARAMS.value_num.is_not(None), compare(PARAMS.value_num, number))

    def _of_key(self, subject: Expression, *which: Condition) -> Condition:
        if not self._body.by_run:
            return self._body.key.in_(sa.select(subject).where(*which))
        run = sa.func.coalesce(EXECUTIONS.run, subject)
        found = sa.select(run).select_from(
            sa.outerjoin(subject.table, schema.execution, EXECUTIONS.id == subject)
        )
        return self._body.key.in_(found.where(*which))

    # ── what belongs to it: steps with their failures, data sets, artifacts ───────────────────────

    def _belonging(self, terms: Sequence[Compare]) -> Condition:
        if TOGETHER[terms[0].prefix] == "steps":
            return self._steps(terms)
        used = [self._field(one) for one in terms]
        if terms[0].prefix in self._body.itself:
            # An artifact is asked about itself, not about its neighbours.
            either = sa.outerjoin(
                schema.artifact, schema.artifact_use, USES.digest == ARTIFACTS.digest
            )
            own = sa.select(self._body.id).select_from(either).where(*used)
            return self._body.id.in_(own.correlate(None))
        if terms[0].prefix == "datasets":
            used.append(USES.role == "input")
        both = sa.join(schema.artifact_use, schema.artifact, ARTIFACTS.digest == USES.digest)
        column = EXECUTIONS.run if self._body.by_run else USES.execution
        if self._body.by_run:
            both = both.join(schema.execution, EXECUTIONS.id == USES.execution)
        found = sa.select(column).select_from(both).where(*used)
        return self._body.key.in_(found.correlate(None))

    def _steps(self, terms: Sequence[Compare]) -> Condition:
        fields = [self._field(one) for one in terms if one.prefix == "steps"]
        failures = [self._field(one) for one in terms if one.prefix == "failure"]
        if failures:
            failed = (ATTEMPTS.cause.is_not(None), ATTEMPTS.cause != "NONE")
            of_step = sa.select(ATTEMPTS.job).where(*failed, *failures)
            fields.append(STEP.c.id.in_(of_step))
        column = STEP.c.run if self._body.by_run else STEP.c.id
        return self._body.key.in_(sa.select(column).where(*fields))

    def _field(self, one: Compare) -> Condition:
        fields = FIELDS[one.prefix]
        if one.name not in fields:
            raise self._unknown(one, f"{one.prefix}.", sorted(fields))
        return self.compare(one, *fields[one.name])

    # ── one comparison ────────────────────────────────────────────────────────────────────────────

    def compare(self, one: Compare, column: Expression, sort: Sort) -> Condition:
        """Compare a column with the values of a condition; what is NULL compares with nothing."""
        has = column.is_not(None)
        if one.operator == "THERE":
            return has
        if one.operator in ("LIKE", "ILIKE"):
            if sort in (Sort.NUMBER, Sort.TIME):
                problem = f"{one.prefix}.{one.name} is no text, and so is like none"
                raise wrong(self._text, one.at, problem, "compare it by = != < <= > >= or IN")
            return sa.and_(has, matches(column, str(one.values[0]), exactly=one.operator == "LIKE"))
        values = [self._value(one, value, sort) for value in one.values]
        if one.operator == "IN":
            return sa.and_(has, column.in_(values))
        return sa.and_(has, OPERATORS[one.operator](column, values[0]))

    def _value(self, one: Compare, value: Value, sort: Sort) -> Expression:
        said = "a truth" if isinstance(value, bool) else f"{value!r}"
        if sort is Sort.TIME and isinstance(value, str):
            return sa.literal(self._instant(one, value), sa.Double)
        if sort in (Sort.NUMBER, Sort.TIME):
            if isinstance(value, bool | str):
                problem = f"{one.prefix}.{one.name} is a number, and {said} is none"
                raise wrong(self._text, one.value_at, problem, "a number stands without quotes")
            return sa.literal(value, sa.Double)  # or PostgreSQL would make it a whole number
        if not isinstance(value, str):
            problem = f"{one.prefix}.{one.name} is a text, and {said} is none"
            raise wrong(self._text, one.value_at, problem, "a text stands in single quotes: 'x'")
        if sort is Sort.STATE and one.operator not in ("LIKE", "ILIKE"):
            value = STATES.get(value.lower(), value.lower())
        return sa.literal(value, sa.Text)

    def _instant(self, one: Compare, text: str) -> float:
        try:
            at = datetime.fromisoformat(text)
        except ValueError:
            hint = "write '2026-11-24', '2026-11-24T16:30', or milliseconds since 1970"
            raise wrong(self._text, one.value_at, f"{text!r} is no time", hint) from None
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000

    def _unknown(self, one: Compare, what: str, known: Sequence[str]) -> Exception:
        problem = f"there is no {what} {one.name!r}".replace(". '", ".'")
        return wrong(self._text, one.at, problem, nearest(one.name, known))


def assert_bounded(query: Query | None, text: str) -> None:
    """Refuse what is larger than a database takes: so many conditions, so deep in each other."""
    conditions = compares(query)
    if len(conditions) > CONDITIONS_MAX:
        problem = f"it has more than {CONDITIONS_MAX} conditions"
        raise wrong(text, conditions[CONDITIONS_MAX].at, problem, "IN takes many values at once")
    waiting = [(query, 0)]
    while waiting:
        one, depth = waiting.pop()
        if depth > DEEP_MAX:
            problem = f"it is more than {DEEP_MAX} conditions deep"
            raise wrong(text, compares(one)[0].at, problem, "leave out parentheses and NOTs")
        match one:
            case Not(Not(term)):
                waiting.append((term, depth))
            case Not(term):
                waiting.append((term, depth + 1))
            case And(terms) | Or(terms):
                waiting += ((term, depth + 1) for term in terms)
            case _:
                pass


def flat(query: And) -> Iterator[Query]:
    """Give what must hold all together, whatever parentheses there are."""
    for term in query.terms:
        if isinstance(term, And):
            yield from flat(term)
        else:
            yield term


def group_of(term: Query) -> str | None:
    """Say with which others a condition speaks of the same thing; None: it stands alone."""
    if isinstance(term, Not):
        inner = term.term
        null = isinstance(inner, Compare) and inner.operator == "NULL"
        return TOGETHER.get(inner.prefix) if null and isinstance(inner, Compare) else None
    if isinstance(term, Compare) and term.operator != "NULL":
        return TOGETHER.get(term.prefix)
    return None


def positive(term: Query) -> Compare:
    """Give the condition itself; IS NOT NULL becomes one that asks whether anything is there."""
    if isinstance(term, Not):
        assert isinstance(term.term, Compare)
        return there(term.term)
    assert isinstance(term, Compare)
    return term


def there(one: Compare) -> Compare:
    """Ask whether there is any value at all."""
    return Compare(
        prefix=one.prefix, name=one.name, aggregate=one.aggregate, operator="THERE", at=one.at
    )


def single(one: Compare, value: Value) -> Compare:
    """Ask for one of the values of an IN; any other condition has only one."""
    operator = "=" if one.operator == "IN" else one.operator
    return Compare(
        prefix=one.prefix, name=one.name, operator=operator, values=(value,),
        at=one.at, value_at=one.value_at,
    )  # fmt: skip
