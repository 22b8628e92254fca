"""Judge an incident: all rules look at it, the strongest evidence names the cause.

A finding of a stronger tier is never overwritten by a weaker one; what only says how something
ended gives way to whatever says why. What else was thought of, and what speaks against it, is kept,
and so are the failures of other workers that only followed.

Takes:   Incident, and the patterns that people have added to the table
Gives:   Judgement: the diagnosis, the finding that it stands on, the outlook
Holds:   any document without any of its keys has a diagnosis · weaker evidence changes no verdict
Cost:    a few ms for a document with some thousand samples (bench/diagnoses.py)
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import msgspec
from msgspec.structs import replace

from makeway.health.causes import CLASS_OF, HINT, MEANING
from makeway.health.outlook import Judged, busy_saving, outlook_of, starved
from makeway.health.reach import Reach, further, furthest, reached, reached_of
from makeway.health.rules import (
    devices,
    exceptions,
    hang,
    inputs,
    log,
    memory,
    nodes,
    ordered,
    own,
    results,
    status,
    straggler,
)
from makeway.health.rules.against import against
from makeway.health.rules.exceptions import root_of, said_of
from makeway.health.rules.finding import Finding, Tier, fact
from makeway.health.rules.scene import Scene, scene_of
from makeway.model.incident import Incident
from makeway.model.record import Cascade, Cause, Diagnosis
from makeway.model.ruling import LogPattern

RULES = (
    *(own, ordered, memory, devices, inputs, exceptions),
    *(status, nodes, log, results, hang, straggler),
)
RUNNING = (Cause.NOT_IMPROVING, Cause.TOO_SLOW)
WEAKEST = (Cause.NETWORK_COLLECTIVE, Cause.DEGRADED, Cause.LAUNCHER_STUCK)
RESTARTS_MAX = 3


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """What was concluded, and what the decision needs to know of it."""

    scene: Scene
    finding: Finding
    diagnosis: Diagnosis
    judged: Judged


def judge(incident: Incident, patterns: tuple[LogPattern, ...] = ()) -> Judgement:
    """Find the cause of an incident; `patterns` are those that people have added."""
    scene = scene_of(own.quieted(incident, patterns), patterns)
    judged = outlook_of(scene)
    found = [one for rule in RULES for one in rule.look(scene)]
    found.sort(key=lambda one: _weight(one, scene))
    finding = found[0] if found else _otherwise(scene, judged)
    if finding.cause is Cause.CANCELLED and finding.vague:
        finding = _what_for(scene, judged, finding)
    finding = own.confirmed(scene, finding)
    finding = _stalled(scene, finding) or finding
    diagnosis = _diagnosis(scene, finding, [one for one in found if one is not finding], judged)
    return Judgement(scene=scene, finding=finding, diagnosis=diagnosis, judged=judged)


def _weight(found: Finding, scene: Scene) -> tuple[bool, bool, int, int]:
    """Order findings: what says why before what says how, then by tier, then by the rules' order."""
    lost_first = found.cause is Cause.NODE_LOST and scene.first is not None and scene.first.lost
    tier = Tier.STATUS if lost_first else found.tier
    if found.cause is Cause.DATA_LOST and found.rerun:  # it outranks the exception that came of it
        tier = min(tier, Tier.EXCEPTION)
        return found.vague, False, tier, -1
    return found.vague, found.cause in WEAKEST, tier, 0


def _otherwise(scene: Scene, judged: Judged) -> Finding:
    """Judge what no rule found anything about."""
    incident, first = scene.incident, scene.first
    if scene.running:
        return _of_running(incident, judged)
    if first is None:
        return Finding(cause=Cause.NONE, tier=Tier.STATUS, said="")
    error = first.error
    told = [fact(first.how, first.how_ref)] if first.code is not None else []
    if error is not None:
        told.insert(0, fact(said_of(error) or "an error without a name", first.error_ref))
    what = said_of(error) if error is not None else ""
    why = f"no rule knows {what}" if what else f"{first.how} says nothing, and nothing else does"
    return Finding(
        cause=Cause.UNKNOWN,
        tier=Tier.HEURISTIC,
        said=f"{first.who}{why}",
        evidence=tuple(told),
        confidence="unknown",
        rank=first.rank,
        root=root_of(error) if error is not None else first.how,
    )


def _of_running(incident: Incident, judged: Judged) -> Finding:
    verdict = judged.outlook.verdict
    if verdict in ("not_improving", "too_slow"):
        return Finding(
            cause=Cause.NOT_IMPROVING if verdict == "not_improving" else Cause.TOO_SLOW,
            tier=Tier.SAMPLES, said=judged.outlook.text, evidence=judged.evidence,
            confidence="supported",
        )  # fmt: skip
    input_is_slow, saving = starved(incident), busy_saving(incident)
    if input_is_slow:
        return Finding(
            cause=Cause.DATA_STARVED, tier=Tier.SAMPLES, evidence=input_is_slow,
            said=" while ".join(one.text for one in input_is_slow), confidence="supported",
        )  # fmt: skip
    if saving and judged.outlook.verdict == "unknown" and len(judged.evidence) > 1:
        return Finding(
            cause=Cause.DEGRADED, tier=Tier.SAMPLES, evidence=saving, said=saving[0].text,
            confidence="supported",
        )  # fmt: skip
    return Finding(cause=Cause.NONE, tier=Tier.STATUS, said="")


def _what_for(scene: Scene, judged: Judged, order: Finding) -> Finding:
    """Find what an order to end was for, by the evidence that led to it."""
    verdict = judged.outlook.verdict
    if verdict not in ("not_improving", "too_slow"):
        return order
    found = _of_running(scene.incident, judged)
    return replace(found, evidence=(*found.evidence, *order.evidence), tier=Tier.INTENT)


def _stalled(scene: Scene, finding: Finding) -> Finding | None:
    """Find that it was restarted three times and came no further, whatever the causes were."""
    history = scene.incident.history
    if scene.first is None or len(history) < RESTARTS_MAX:
        return None
    by_itself = finding.cause is Cause.PREEMPTED and scene.incident.intent is None
    wanted = (finding.cause_class or CLASS_OF[finding.cause]).value
    if wanted in ("permanent", "cancelled", "none") or (wanted == "preempted" and not by_itself):
        return None
    counts = [past.by_itself or past.cause is not Cause.PREEMPTED for past in history]
    reach = [*map(reached_of, history), reached(scene)]
    stalled, best = 0, Reach()
    for is_restart, here in zip([*counts, True], reach, strict=True):
        gained = further(here, best)
        if gained or (here.known and not best.known):
            stalled = 0
        elif gained is False and is_restart:
            stalled += 1
        best = furthest([best, here])
    if stalled < RESTARTS_MAX:
        return None
    far = best.told
    told = fact(f"it came to {far} and then no further", f"history[0..{len(history) - 1}]")
    return replace(
        finding, cause=Cause.NO_PROGRESS, cause_class=None, evidence=(told, *finding.evidence),
        said=f"{stalled} restarts came no further than {far}; "
        f"the last time {MEANING[finding.cause]}", hint="",
    )  # fmt: skip


def _diagnosis(scene: Scene, finding: Finding, others: list[Finding], judged: Judged) -> Diagnosis:
    cause = finding.cause
    meaning = MEANING[cause]
    if cause is Cause.NONE:
        meaning = "nothing is wrong" if scene.running else "it ended well"
    if cause is Cause.UNKNOWN:
        meaning = "unknown, because " + (finding.said or "nothing says why")
    fitting = finding.said if cause not in (Cause.UNKNOWN, Cause.NONE) else ""
    root = finding.root or _root(scene, finding)
    mark = f"{cause} {root}"
    return Diagnosis(
        cause=cause,
        cause_class=finding.cause_class or CLASS_OF[cause],
        confidence=finding.confidence,
        text=f"{meaning} ({fitting})" if fitting else meaning,
        hint=finding.hint or HINT.get(cause, ""),
        fingerprint=hashlib.sha256(mark.encode()).hexdigest()[:16],
        rank=finding.rank,
        evidence=finding.evidence,
        ruled_out=tuple(against(scene, finding, others)),
        cascade=tuple(_cascade(scene, finding)),
        outlook=judged.outlook,
    )


def _root(scene: Scene, finding: Finding) -> str:
    error = scene.first.error if scene.first is not None else None
    if error is None or finding.tier not in (Tier.EXCEPTION, Tier.KERNEL):
        return ""
    return root_of(error, exact=finding.cause is Cause.BAD_DATA)


def _cascade(scene: Scene, finding: Finding) -> Iterator[Cascade]:
    deaths = [*scene.followed]
    if finding.cause is Cause.HUNG and scene.first is not None and scene.first.error is not None:
        deaths.insert(0, scene.first)
    for one in deaths:
        said = said_of(one.error) if one.error is not None else one.how
        yield Cascade(rank=one.rank, text=said)
