"""Turn what a user types into ids: `@last`, the beginning of an id, `RUN.KEY`, a step's name.

Raises:  Conflict: several ids begin so; it names some of them
         NotFound: there is none; it names the nearest
"""

from __future__ import annotations

from collections.abc import Sequence

from makeway.errors import Conflict, NotFound
from makeway.model.workflow import execution_id
from makeway.store.database import Database

LAST = "@last"
SHOWN_MAX = 5

LAST_RUN = "SELECT id FROM run ORDER BY submitted_at_ms DESC, id DESC LIMIT 1"
# substr and not LIKE, for which a, A and _ may be the same.
RUNS = "SELECT id FROM run WHERE substr(id, 1, ?) = ? ORDER BY id LIMIT ?"
JOBS = "SELECT id FROM job WHERE substr(id, 1, ?) = ? ORDER BY id LIMIT ?"
JOB = "SELECT id FROM job WHERE id = ? UNION SELECT id FROM execution WHERE id = ?"
KEYS = "SELECT key FROM execution WHERE run = ? ORDER BY position"
LAST_WITH_KEY = (
    "SELECT execution.id FROM execution JOIN run ON run.id = execution.run WHERE key = ?"
    " ORDER BY run.submitted_at_ms DESC, run.id DESC LIMIT 1"
)
NEW_RUNS = "SELECT id FROM run ORDER BY submitted_at_ms DESC, id DESC LIMIT 200"
NEW_KEYS = (
    "SELECT DISTINCT key FROM execution WHERE run IN"
    " (SELECT id FROM run ORDER BY submitted_at_ms DESC, id DESC LIMIT 20)"
)
NEW_JOBS = "SELECT id FROM job ORDER BY submitted_at_ms DESC, id DESC LIMIT 200"


def resolve_run(database: Database, text: str) -> str:
    """Give the id of the run that is meant by `@last`, an id, or the beginning of one."""
    with database.reading():
        if text == LAST:
            last = _ids(database, LAST_RUN)
            if not last:
                raise NotFound("there is no run yet", hint="start one with: makeway run FILE.py")
            return last[0]
        found = _beginning(database, RUNS, text)
        if found is None:
            raise _nothing("run", text, _ids(database, NEW_RUNS))
    return found


def resolve_execution(database: Database, text: str) -> str:
    """Give the id of the step, or of the job, that is meant.

    `RUN.KEY`, where RUN may be short or `@last`; a KEY alone, of the last run that has it; an id of
    a job or the beginning of one.
    """
    with database.reading():
        if _ids(database, JOB, text, text):
            return text
        run, dot, key = text.partition(".")
        if dot and (run == LAST or _beginning(database, RUNS, run) is not None):
            return _step(database, resolve_run(database, run), key)
        last = _ids(database, LAST_WITH_KEY, text)
        if last:
            return last[0]
        found = _beginning(database, JOBS, text)
        if found is None:
            known = [*_ids(database, NEW_KEYS), *_ids(database, NEW_JOBS)]
            raise _nothing("step or job", text, known)
    return found


def _step(database: Database, run: str, key: str) -> str:
    keys = _ids(database, KEYS, run)
    if key not in keys:
        raise _nothing("step", key, keys, where=f"run {run}")
    return execution_id(run, key)


def _beginning(database: Database, query: str, text: str) -> str | None:
    """Give the one id that is, or begins with, this text; nothing begins with nothing."""
    found = _ids(database, query, len(text), text, SHOWN_MAX + 1) if text else []
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


def _ids(database: Database, query: str, *values: object) -> list[str]:
    return [row[0] for row in database.rows(query, values)]
