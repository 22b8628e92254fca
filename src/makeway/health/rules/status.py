"""Read how a process ended: its signal or its exit code, which seldom say why.

A signal proves only that somebody sent it, and 137 not even that: a program may exit so. What is
found here gives way to anything that says why, but for a crash below Python, and for the codes that
are an answer of their own (93, 126, 127).
"""

from __future__ import annotations

from collections.abc import Iterator

from makeway.health.reach import saved_more
from makeway.health.rules.exceptions import root_of
from makeway.health.rules.finding import Finding, Tier, fact
from makeway.health.rules.scene import NEVER_RETRY, NO_RECORD, YIELDS, Death, Scene
from makeway.health.rules.signs import confirming, joined
from makeway.health.rules.table import ROWS
from makeway.model.record import Cause, CauseClass

USAGE = 2
NOT_STARTED = {126: "what it was to run is not executable", 127: "what it was to run is not there"}
CRASHES = (4, 6, 7, 8, 11)
AMBIGUOUS = (6, 7)  # by which a program also ends itself, for a reason that it tells
INTERRUPTED = 2
CPU_TIME = 24
BY_HAND = confirming("by_hand")
FOR = tuple((joined([row]), row.cause) for row in ROWS if row.use == "ended_for" and row.cause)
USAGE_LINE = confirming("usage")


def look(scene: Scene) -> Iterator[Finding]:
    """Find what the end of the first process speaks for."""
    death = scene.first
    if death is None or death.lost:
        return
    yield from _code(scene, death)
    if death.vanished:
        yield Finding(
            cause=Cause.KILLED_UNKNOWN, tier=Tier.STATUS, said=f"{death.who}{death.vanished}",
            evidence=(fact(death.vanished, f"{death.ended_ref}.vanished"),), rank=death.rank,
            vague=True, once=True, root="vanished",
        )  # fmt: skip
    elif death.by in CRASHES:
        yield _crash(scene, death)
    elif death.by is not None:
        yield from _killed(scene, death)


def _code(scene: Scene, death: Death) -> Iterator[Finding]:
    told = (fact(death.how, death.how_ref),)
    code = death.code
    if code == NEVER_RETRY:
        yield Finding(
            cause=Cause.USER_PERMANENT, tier=Tier.STATUS, said=f"{death.who}exit code 93",
            evidence=told, rank=death.rank,
        )  # fmt: skip
    elif code in NOT_STARTED:
        yield Finding(
            cause=Cause.CODE_ERROR, tier=Tier.STATUS, rank=death.rank, evidence=told,
            said=f"{death.who}{NOT_STARTED[code]} (exit code {code})", root=f"exit {code}",
        )  # fmt: skip
    elif code == YIELDS:
        yield from _yielded(scene, death)
    elif code == USAGE and death.error is None:
        line = next((at for at, one in enumerate(scene.incident.log)
                     if USAGE_LINE.search(one.strip())), None)  # fmt: skip
        early = death.at_s is not None and death.at_s < 60 and not scene.incident.log
        if line is not None or early:
            more = () if line is None else (fact(scene.incident.log[line].strip(), f"log[{line}]"),)
            yield Finding(
                cause=Cause.CODE_ERROR, tier=Tier.STATUS, rank=death.rank, root="exit 2",
                said=f"{death.who}its arguments are wrong (exit code 2)",
                evidence=(*told, *more), confidence="supported" if early else "established",
            )  # fmt: skip


def _yielded(scene: Scene, death: Death) -> Iterator[Finding]:
    """Read what was left by who wants to go on later: only its own record says that it can."""
    told, saved = fact(death.how, death.how_ref), scene.incident.checkpoint
    if death.record in NO_RECORD:
        what = "with the record of an older attempt"
        what = "without a record of what is saved" if death.record == "none" else what
        yield Finding(
            cause=Cause.UNKNOWN, tier=Tier.STATUS, rank=death.rank, evidence=(told,),
            said=f"{death.who}exit code 75 {what}", confidence="supported",
            root=f"exit 75, {death.record}",
        )  # fmt: skip
    elif death.record or saved.progress is not None or saved.at_s is not None:
        step = "" if saved.step is None else f" up to step {saved.step}"
        yield Finding(
            cause=Cause.PREEMPTED, tier=Tier.STATUS, rank=death.rank,
            said=f"{death.who}it left by itself with its work saved{step}",
            evidence=(told, fact("its work is saved", "checkpoint")),
        )  # fmt: skip


def _crash(scene: Scene, death: Death) -> Finding:
    again = any(past.cause is Cause.CRASH_NATIVE for past in scene.incident.history)
    error = death.error
    return Finding(
        cause=Cause.CRASH_NATIVE,
        tier=Tier.STATUS,
        said=f"{death.who}{death.how}",
        evidence=(fact(death.how, death.how_ref),),
        confidence="established" if death.signal is not None else "supported",
        rank=death.rank,
        vague=death.by in AMBIGUOUS or death.signal is None,
        nodes=(scene.node,) if scene.node and not again else (),
        root=f"signal {death.by}" + (f" {root_of(error)}" if error is not None else ""),
        once=True,
    )


def _killed(scene: Scene, death: Death) -> Iterator[Finding]:
    told = (fact(death.how, death.how_ref),)
    hand = death.by in (INTERRUPTED, 15)
    for at, line in enumerate(scene.incident.log):
        if not (BY_HAND.search(line) and hand) and not any(one.search(line) for one, _ in FOR):
            continue
        cause = next((cause for one, cause in FOR if one.search(line)), Cause.CANCELLED_EXTERNALLY)
        yield Finding(
            cause=cause, tier=Tier.LOG, said=f"{death.who}{line.strip()[:160]}", rank=death.rank,
            evidence=(*told, fact(line.strip()[:200], f"log[{at}]")), confidence="supported",
            cause_class=CauseClass.TEMPORARY if cause is Cause.TIMED_OUT and saved_more(scene) else None,
        )  # fmt: skip
        return
    if death.by == INTERRUPTED:
        yield Finding(
            cause=Cause.CANCELLED_EXTERNALLY, tier=Tier.STATUS, rank=death.rank,
            said=f"{death.who}somebody interrupted it ({death.how})", evidence=told,
            confidence="supported",
        )  # fmt: skip
        return
    more = "" if death.signal is not None else ", which proves no signal"
    limit = "; its limit of processor time (ulimit -t)" if death.by == CPU_TIME else ""
    yield Finding(
        cause=Cause.KILLED_UNKNOWN, tier=Tier.STATUS, said=f"{death.who}{death.how}{more}{limit}",
        evidence=told, rank=death.rank, vague=True, once=True, root=f"signal {death.by}",
        confidence="supported" if death.signal is not None else "hypothesis",
    )  # fmt: skip
