"""Turn what a user types into ids: `@last`, the beginning of an id, a name, `RUN.KEY`, a step's key.

Raises:  Conflict: several ids begin so; it names some of them
         NotFound: there is none; it names the nearest
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from makeway.errors import Conflict, NotFound
from makeway.model.workflow import execution_id
from makeway.store import schema
from makeway.store.database import Database
from makeway.store.statement import same

LAST = "@last"
LAST_CHARACTER = "\U0010ffff"
SHOWN_MAX = 5
KNOWN_MAX = 200  # so many are looked through for the nearest

RUNS, JOBS, EXECUTIONS = schema.run.c, schema.job.c, schema.execution.c
NEWEST_RUNS = sa.select(RUNS.id).order_by(RUNS.submitted_at_ms.desc(), RUNS.id.desc())
NEWEST_JOBS = sa.select(JOBS.id).order_by(JOBS.submitted_at_ms.desc(), JOBS.id.desc())
ANY_ID = sa.union(
    sa.select(JOBS.id).where(same(JOBS.id)), sa.select(EXECUTIONS.id).where(same(EXECUTIONS.id))
)
THE_JOB = sa.select(JOBS.id).where(same(JOBS.id))
NAMED = NEWEST_JOBS.where(same(JOBS.name)).limit(1)
KEYS = sa.select(EXECUTIONS.key).where(same(EXECUTIONS.run)).order_by(EXECUTIONS.position)
LAST_WITH_KEY = (
    sa.select(EXECUTIONS.id)
    .join_from(schema.execution, schema.run)
    .where(same(EXECUTIONS.key))
    .order_by(RUNS.submitted_at_ms.desc(), RUNS.id.desc())
    .limit(1)
)
NEW_KEYS = sa.select(EXECUTIONS.key).distinct().where(EXECUTIONS.run.in_(NEWEST_RUNS.limit(20)))


def resolve_run(database: Database, text: str) -> str:
    """Give the id of the run that is meant by `@last`, an id, or the beginning of one."""
    with database.reading():
        if text == LAST:
            last = _ids(database, NEWEST_RUNS.limit(1))
            if not last:
                raise NotFound("there is no run yet", hint="start one with: makeway run FILE.py")
            return last[0]
        found = _beginning(database, RUNS.id, text)
        if found is None:
            raise _nothing("run", text, _ids(database, NEWEST_RUNS.limit(KNOWN_MAX)))
    return found


def resolve_job(database: Database, text: str) -> str:
    """Give the id of the job that is meant by `@last`, an id, a name, or the beginning of an id.

    Of several jobs of one name it is the latest. What is an id or a name is no beginning.
    """
    with database.reading():
        if text == LAST:
            last = _ids(database, NEWEST_JOBS.limit(1))
            if not last:
                raise NotFound("there is no job yet", hint="submit one with: makeway submit")
            return last[0]
        if _ids(database, THE_JOB, id=text):
            return text
        named = _ids(database, NAMED, name=text)
        if named:
            return named[0]
        found = _beginning(database, JOBS.id, text)
        if found is None:
            newest = NEWEST_JOBS.limit(KNOWN_MAX)
            names = _ids(database, sa.select(JOBS.name).where(JOBS.id.in_(newest)).distinct())
            raise _nothing("job", text, [*names, *_ids(database, newest)])
    return found


def is_job(database: Database, name: str) -> bool:
    """Say whether this is the id of a job."""
    return bool(_ids(database, THE_JOB, id=name))


def resolve_execution(database: Database, text: str) -> str:
    """Give the id of the step, or of the job, that is meant.

    `RUN.KEY`, where RUN may be short or `@last`; a KEY alone, of the last run that has it; an id of
    a job, its name, or the beginning of an id.
    """
    with database.reading():
        if _ids(database, ANY_ID, id=text):
            return text
        run, dot, key = text.partition(".")
        if dot and (run == LAST or _beginning(database, RUNS.id, run) is not None):
            return _step(database, resolve_run(database, run), key)
        last = _ids(database, LAST_WITH_KEY, key=text) or _ids(database, NAMED, name=text)
        if last:
            return last[0]
        found = _beginning(database, JOBS.id, text)
        if found is None:
            known = [*_ids(database, NEW_KEYS), *_ids(database, NEWEST_JOBS.limit(KNOWN_MAX))]
            raise _nothing("step or job", text, known)
    return found


def _step(database: Database, run: str, key: str) -> str:
    keys = _ids(database, KEYS, run=run)
    if key not in keys:
        raise _nothing("step", key, keys, where=f"run {run}")
    return execution_id(run, key)


def _beginning(database: Database, column: sa.Column[str], text: str) -> str | None:
    """Give the one id that is, or begins with, this text; nothing begins with nothing."""
    # substr and not LIKE, for which a, A and _ may be the same.
    so = sa.func.substr(column, 1, len(text)) == text
    near = (column >= text) & (column <= text + LAST_CHARACTER)  # so that the index is used
    query = sa.select(column).where(near, so).order_by(column).limit(SHOWN_MAX + 1)
    found = _ids(database, query) if text else []
    if len(found) > 1 and found[0] != text:
        shown = ", ".join(found[:SHOWN_MAX]) + (", …" if len(found) > SHOWN_MAX else "")
        raise Conflict(f"{text!r} may be any of {shown}", hint="type more of it")
    return found[0] if found else None


def _nothing(kind: str, text: str, known: Sequence[str], where: str = "") -> NotFound:
    import difflib  # only for this

    near = difflib.get_close_matches(text, known, n=1, cutoff=0.5)
    hint = f"the nearest is {near[0]}" if near else ""
    if not near and known:
        shown = ", ".join(known[:SHOWN_MAX]) + (", …" if len(known) > SHOWN_MAX else "")
        hint = f"there are {shown}"
    return NotFound(f"there is no {kind} {text!r}", where=where, hint=hint)


def _ids(database: Database, query: sa.Executable, **values: str) -> list[str]:
    return [row[0] for row in database.rows(query, values)]
