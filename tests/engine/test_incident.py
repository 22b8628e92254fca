"""Why an attempt ended: from how its workers ended, by the rules of any incident, to one cause."""

from __future__ import annotations

import builtins
import re
from typing import Any

import pytest

from makeway.engine.incident import incident_of
from makeway.engine.state import State
from makeway.engine.verdict import ended as ended_event
from makeway.health.causes import CLASS_OF, HINT, MEANING
from makeway.health.reach import Reach, reached
from makeway.health.rules.scene import scene_of
from makeway.model.cluster import Allocation, Placement
from makeway.model.incident import Past
from makeway.model.job import Attempt, Worker
from makeway.model.phase import AttemptPhase
from makeway.model.record import Cause, CauseClass, Diagnosis, ErrorRecord, Exit, Frame, Yielded
from tests import builders

# A row has the order to stop (if there was one), each worker's end at its second, and what is found.
# An end is: ok, a code, a signal, an exception, `node` (its machine was lost), or `silent` (its
# agent vanished); `early` means before its program began, `unready` that it never was at the barrier.
TABLE = """
stop     rank 0              rank 1              rank 2              cause            rank
-        ok @1               -                   -                   NONE             -
-        ok @1               ok @9               ok @2               NONE             -
peer     ok @1               code 1 @2           signal 15 @3        UNKNOWN          1
peer     signal 15 @3        code 1 @2           signal 15 @3        UNKNOWN          1
peer     code 1 @5           NameError @4        code 1 @6           CODE_ERROR       1
peer     ConnectionError @3  code 93 @2          signal 15 @4        USER_PERMANENT   1
peer     code 1 @2           code 2 @2           signal 9 @2         UNKNOWN          0
-        code 93 @1          -                   -                   USER_PERMANENT   0
-        code 126 @1         -                   -                   CODE_ERROR       0
-        code 127 @1         -                   -                   CODE_ERROR       0
-        code 137 @1         -                   -                   KILLED_UNKNOWN   0
-        signal 9 @1         -                   -                   KILLED_UNKNOWN   0
-        signal 15 @1        -                   -                   KILLED_UNKNOWN   0
-        signal 99 @1        -                   -                   KILLED_UNKNOWN   0
-        signal 11 @1        -                   -                   CRASH_NATIVE     0
-        signal 6 @1         -                   -                   CRASH_NATIVE     0
-        silent @1           -                   -                   KILLED_UNKNOWN   0
-        node @1             -                   -                   NODE_LOST        0
peer     ConnectionError @2  signal 15 @3        node @20            NODE_LOST        2
peer     RuntimeError @2     signal 15 @3        node @20            NODE_LOST        2
peer     NameError @2        signal 15 @3        node @20            CODE_ERROR       0
peer     MemoryError @2      signal 15 @3        node @20            OOM_HOST         0
cancel   signal 15 @1        code 1 @2           node @3             CANCELLED        -
cancel   ok @1               ok @2               ok @3               NONE             -
peer     signal 15 @2        code 1 @2           signal 9 @2         UNKNOWN          1
evict    signal 15 @1        code 1 @2           node @3             PREEMPTED        -
evict    saved @1            code 1 @2           signal 15 @3        PREEMPTED        -
evict    signal 15 @1        code 75 @2          signal 15 @3        UNKNOWN          1
evict    signal 15 @1        stale @2            signal 15 @3        UNKNOWN          1
evict    signal 15 @1        code 93 @2          signal 15 @3        USER_PERMANENT   1
drained  signal 15 @1        saved @2            code 143 @3         PREEMPTED        -
drained  signal 15 @1        code 75 @2          signal 9 @3         UNKNOWN          1
-        saved @1            -                   -                   PREEMPTED        0
-        code 75 @1          -                   -                   UNKNOWN          0
-        stale @1            -                   -                   UNKNOWN          0
peer     saved @1            signal 15 @2        signal 15 @2        PREEMPTED        0
peer     saved @3            code 1 @2           signal 15 @3        UNKNOWN          1
timeout  signal 15 @1        signal 9 @2         signal 15 @1        TIMED_OUT        -
timeout  ok @1               ok @1               ok @1               NONE             -
hang     signal 9 @1         signal 15 @1        signal 9 @1         HUNG             -
cancel   saved @1            saved @1            saved @1            CANCELLED        -
evict    ok @1               ok @2               ok @3               NONE             -
cancel   early ok @1         early ok @1         early ok @1         CANCELLED        -
barrier  early ok @1         early ok @1 unready early ok @1         START_TIMEOUT    -
barrier  early signal 15 @1  early node @2       early ok @1 unready START_TIMEOUT    -
peer     early ok @1         early signal 15 @2  -                   UNKNOWN          0
peer     early code 1 @1     early ok @2         -                   UNKNOWN          0
"""
COLUMNS = re.compile(r"(\S+)\s+(.{19}) (.{19}) (.{19}) (\S+)\s+(\S+)")
ROWS = [found.groups() for row in TABLE.strip().splitlines()[1:] if (found := COLUMNS.match(row))]


def exit_of(words: list[str], at_ms: int) -> Exit:
    known: dict[str, Any] = {"at_ms": at_ms, "started": "early" not in words}
    match [word for word in words if word not in {"early", "unready"}]:
        case ["ok"]:
            return Exit(**known, code=0)
        case ["code", code]:
            return Exit(**known, code=int(code))
        case ["saved" | "stale" as record]:
            saved = Yielded(fence=1 if record == "saved" else 0, step=1200, checkpoint="c1200")
            return Exit(**known, code=75, yielded=saved)
        case ["signal", number]:
            return Exit(**known, signal=int(number))
        case ["node"]:
            return Exit(**known, lost="node n is gone")
        case ["silent"]:
            return Exit(**known, lost="its agent is silent")
        case [name]:
            return Exit(**known, code=1, error=error_of(name))
    raise AssertionError(words)


def error_of(name: str, *bases: str, errno: int | None = None, **more: Any) -> ErrorRecord:
    """Write an exception down as a worker's runner does; a built-in one knows its bases."""
    known = getattr(builtins, name, None)
    lineage = tuple(base.__name__ for base in known.__mro__[1:]) if known else bases
    return ErrorRecord(**{"type": name, "message": "no", "bases": lineage, "errno": errno} | more)


def ended(*ends: Exit, stop: str | None = None, released: bool = True, ready: Any = ()) -> Attempt:
    """Make an attempt whose workers ended so; `ready` tells who was at the barrier."""
    workers = tuple(
        Worker(rank=rank, node=f"n{rank}", exit=end, ready=not ready or ready[rank])
        for rank, end in enumerate(ends)
    )
    return Attempt(
        job="a",
        number=1,
        fence=1,
        allocation=Allocation(
            tuple(Placement(f"n{rank}", "worker", 1) for rank, _ in enumerate(ends))
        ),
        phase=AttemptPhase.STOPPING,
        started_at_ms=0,
        barrier_at_ms=60_000,
        workers=workers,
        released_at_ms=0 if released else None,
        stop_cause="preempted" if stop == "evict" else stop,
    )


def house_of(attempt: Attempt, **known: Any) -> State:
    """Make a state in which this attempt of a job has just ended."""
    state = State()
    for name in (*(worker.node for worker in attempt.workers), "spare"):
        state.nodes[name] = builders.node(name)
        state.free[name] = state.nodes[name].capacity
    state.jobs["a"] = builders.job("a", **known)
    state.attempts["a"] = attempt
    return state


def diagnose(attempt: Attempt, **known: Any) -> Diagnosis:
    return ended_event(house_of(attempt, **known), attempt).diagnosis


def of_row(stop: str, *cells: str) -> Attempt:
    ends, ready = [], []
    for cell in (cell.strip() for cell in cells):
        if cell != "-":
            at_s = re.search(r"@(\d+)", cell)
            assert at_s, f"no instant in {cell}"
            words = cell.replace(at_s[0], "").split()
            ends.append(exit_of(words, int(at_s[1]) * 1000))
            ready.append("unready" not in words)
    begun = any(end.started for end in ends)
    return ended(*ends, stop=None if stop == "-" else stop, released=begun, ready=ready)


@pytest.mark.parametrize("row", ROWS, ids=[" ".join(" ".join(row).split()) for row in ROWS])
def test_the_cause_is_found(row: tuple[str, ...]) -> None:
    stop, *cells, cause, rank = row
    found = diagnose(of_row(stop, *cells))
    assert (found.cause.value, "-" if found.rank is None else str(found.rank)) == (cause, rank)
    assert found.cause_class is CLASS_OF[found.cause]
    assert found.text.startswith(
        "unknown, because" if found.cause is Cause.UNKNOWN else MEANING[found.cause]
    )


@pytest.mark.parametrize(
    "before,kind",
    [(None, CauseClass.TEMPORARY), (1199, CauseClass.TEMPORARY), (1200, CauseClass.PERMANENT)],
)
def test_more_time_is_of_use_only_to_who_saved_more_than_before(
    before: int | None, kind: CauseClass
) -> None:
    past = () if before is None else (Past(cause=Cause.TIMED_OUT, checkpoint_step=before),)
    found = diagnose(of_row("timeout", "saved @1"), past=past)
    assert (found.cause, found.cause_class) == (Cause.TIMED_OUT, kind)


def test_whoever_leaves_says_how_far_its_work_is_saved() -> None:
    assert "saved up to step 1200" in diagnose(of_row("evict", "saved @1", "signal 15 @1")).text
    by_itself = diagnose(of_row("-", "saved @1"))
    assert by_itself.text == (
        "it gave up its place (it left by itself with its work saved up to step 1200)"
    )


def test_how_far_an_attempt_came_is_what_is_saved_or_else_what_was_reported() -> None:
    reported = [Exit(at_ms=1, code=1, step=step) for step in (7, None, 9)]
    saved = Exit(at_ms=1, code=75, yielded=Yielded(fence=1, step=5))
    stale = Exit(at_ms=1, code=75, yielded=Yielded(fence=0, step=5))
    for ends, step in ((reported, 9), ([*reported, saved], 5), ([*reported, stale], 9)):
        attempt = ended(*ends)
        assert reached(scene_of(incident_of(house_of(attempt), attempt))).step == step
    nothing = of_row("-", "code 1 @1")
    assert reached(scene_of(incident_of(house_of(nothing), nothing))) == Reach()


def test_the_table_was_read_as_it_is_written() -> None:
    assert len(ROWS) == len(TABLE.strip().splitlines()) - 1


# ── exceptions ────────────────────────────────────────────────────────────────────────────────────

ERRORS = """
exception                        its bases                          errno  cause
ConnectionError                                                            CONNECTION
ConnectionResetError                                                  104  CONNECTION
BrokenPipeError                                                        32  CONNECTION
TimeoutError                                                               CONNECTION
socket.gaierror                  OSError                               -2  CONNECTION
psycopg.OperationalError         ConnectionError                           CONNECTION
makeway.errors.Permanent         makeway.errors.MakewayError               USER_PERMANENT
my.Hopeless                      makeway.errors.Permanent,OSError     104  USER_PERMANENT
OSError                                                                28  DISK_FULL
OSError                                                               122  DISK_FULL
OSError                                                                 5  STORAGE
OSError                                                               116  STORAGE
OSError                                                                12  OOM_HOST
OSError                                                                99  UNKNOWN
MemoryError                                                                OOM_HOST
FileNotFoundError                                                       2  MISSING_INPUT
PermissionError                                                        13  PERMISSION
UnicodeDecodeError                                                         BAD_DATA
json.decoder.JSONDecodeError     ValueError                                BAD_DATA
makeway.errors.InvalidInput      makeway.errors.MakewayError               BAD_OUTPUT
ModuleNotFoundError                                                        CODE_ERROR
SyntaxError                                                                CODE_ERROR
UnboundLocalError                                                          CODE_ERROR
TypeError                                                                  CODE_ERROR
AttributeError                                                             CODE_ERROR
KeyError                                                                   CODE_ERROR
IndexError                                                                 CODE_ERROR
ZeroDivisionError                                                          CODE_ERROR
ValueError                                                                 UNKNOWN
RuntimeError                                                               UNKNOWN
my.Strange                       Exception                                 UNKNOWN
"""
ERROR_ROWS = [
    (row[:33].strip(), row[33:66].strip(), row[66:75].strip(), row[75:].strip())
    for row in ERRORS.strip().splitlines()[1:]
]


@pytest.mark.parametrize("name,bases,errno,cause", ERROR_ROWS)
def test_an_exception_speaks_for_a_cause(name: str, bases: str, errno: str, cause: str) -> None:
    error = error_of(name, *bases.split(","), errno=int(errno) if errno else None)
    assert diagnose(ended(Exit(at_ms=1, code=1, error=error))).cause.value == cause


# ── what a person reads ───────────────────────────────────────────────────────────────────────────


def of_one(**how: Any) -> Diagnosis:
    return diagnose(ended(Exit(**{"at_ms": 1, **how})))


def test_an_exception_is_told_with_the_users_own_line() -> None:
    frames = (
        Frame(file="/home/ada/train.py", line=12, function="train", user=True),
        Frame(file="/usr/lib/socket.py", line=9, function="connect"),
    )
    error = error_of("ConnectionRefusedError", errno=111, message="refused", frames=frames)
    found = of_one(code=1, error=error)
    assert found.text == (
        "it lost a connection (ConnectionRefusedError: refused at train.py:12 in train)"
    )
    assert found.confidence == "established"
    assert found.hint == HINT[Cause.CONNECTION]
    assert found.evidence[0].ref == "workers[0].error"


def test_an_exception_without_words_or_lines_is_told_by_its_name() -> None:
    error = ErrorRecord(type="my.package.Strange", message="")
    found = of_one(code=1, error=error)
    assert found.text == "unknown, because no rule knows Strange"
    assert found.confidence == "unknown"


def test_who_was_missing_at_the_barrier_is_told() -> None:
    end = Exit(at_ms=1, signal=15, started=False)
    found = diagnose(
        ended(end, end, end, stop="barrier", released=False, ready=(False, True, False))
    )
    assert found.text == (
        "not all of its workers were ready in time (after 60 s missing: rank 0, 2)"
    )


def test_a_worker_of_many_is_named_and_one_alone_is_not() -> None:
    failed, well = Exit(at_ms=1, code=3), Exit(at_ms=1, code=0)
    assert "because exit code 3" in diagnose(ended(failed)).text
    assert "because rank 1: exit code 3" in diagnose(ended(well, failed)).text


def test_the_instant_of_the_exception_counts_and_not_when_the_process_was_gone() -> None:
    slow = Exit(at_ms=9_000, code=1, error=error_of("NameError", at_ms=1_000))
    fast = Exit(at_ms=2_000, code=1, error=error_of("ConnectionError", at_ms=1_500))
    assert diagnose(ended(fast, slow)).rank == 1


# ── fingerprints ──────────────────────────────────────────────────────────────────────────────────


def test_the_same_failure_bears_the_same_fingerprint_whatever_varies() -> None:
    def found(rank: int, at_ms: int, message: str) -> str:
        frames = (Frame(file="train.py", line=at_ms, function="train", user=True),)
        error = error_of("ValueError", message=message, frames=frames)
        ends = [Exit(at_ms=at_ms, code=0), Exit(at_ms=at_ms, code=0)]
        ends[rank] = Exit(at_ms=at_ms, code=1, error=error)
        return diagnose(ended(*ends)).fingerprint

    assert found(0, 5, "at 10.0.0.7:4242") == found(1, 99, "at 10.0.0.8:1717")


def test_different_failures_bear_different_fingerprints() -> None:
    ways: list[dict[str, Any]] = [
        {"code": 1},
        {"code": 2},
        {"signal": 9},
        {"signal": 11},
        {"lost": "node n1 is gone"},
        {"code": 1, "error": error_of("ValueError")},
        {"code": 1, "error": error_of("RuntimeError")},
    ]
    assert len({of_one(**how).fingerprint for how in ways}) == len(ways)


def test_every_cause_has_a_class_and_a_meaning() -> None:
    assert {*CLASS_OF} == {*MEANING} == {*Cause}
    assert {*HINT} <= {*Cause}
    assert {*CLASS_OF.values()} == {*CauseClass}
