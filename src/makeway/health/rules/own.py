"""Look for the patterns that people have added: they go before the table where evidence is as strong.

A pattern of a log is weaker than an exception or a counter of the kernel, whoever wrote it. What is
an advice is cut out of the log before anybody reads it; what only follows (cascade) gives way to
whatever says why; what confirms makes a cause surer that something else has named.

Takes:   Scene with the patterns of a configuration
Gives:   findings; `quieted` an incident without advice; `confirmed` a finding that is surer
Holds:   of a line at most `signs.LINE_MAX` signs are looked at
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from makeway.health.rules.finding import Finding, Tier, fact
from makeway.health.rules.scene import Scene
from makeway.health.rules.signs import matches
from makeway.model.incident import Incident
from makeway.model.ruling import LogPattern

SURER = {"unknown": "hypothesis", "hypothesis": "supported", "supported": "established"}


def look(scene: Scene) -> Iterator[Finding]:
    """Find what the patterns of people speak for: in the exception, else in the log."""
    death = scene.first
    if death is None or not scene.patterns:
        return
    if death.error is not None:
        text = f"{death.error.type}: {death.error.message}"
        found = _first(scene, text)
        if found is not None:
            yield _finding(scene, found, (text, death.error_ref), Tier.EXCEPTION)
    followed: Finding | None = None
    for at, line in enumerate(scene.incident.log):
        found = _first(scene, line)
        if found is None:
            continue
        one = _finding(scene, found, (line, f"log[{at}]"), Tier.LOG)
        if found.role == "root":
            yield one
            return
        followed = followed or one
    if followed is not None:
        yield followed


def quieted(incident: Incident, patterns: Sequence[LogPattern]) -> Incident:
    """Take the lines that only advise out of a log; each keeps its place."""
    advice = [one for one in patterns if one.role == "advice"]
    if not advice or not incident.log:
        return incident
    log = ("" if any(matches(one, line) for one in advice) else line for line in incident.log)
    return replace(incident, log=tuple(log))


def confirmed(scene: Scene, finding: Finding) -> Finding:
    """Make a cause surer that a line of the log confirms."""
    wanted = [
        one for one in scene.patterns if one.role == "confirmation" and one.cause is finding.cause
    ]
    for at, line in enumerate(scene.incident.log if wanted else ()):
        if any(matches(one, line) for one in wanted):
            told = fact(line.strip()[:200], f"log[{at}]")
            sure = SURER.get(finding.confidence, finding.confidence)
            return replace(finding, confidence=sure, evidence=(*finding.evidence, told))
    return finding


def _first(scene: Scene, text: str) -> LogPattern | None:
    naming = (one for one in scene.patterns if one.role in ("root", "cascade"))
    return next((one for one in naming if matches(one, text)), None)


def _finding(scene: Scene, pattern: LogPattern, told: tuple[str, str], tier: Tier) -> Finding:
    assert pattern.cause is not None, "what names a cause has one"
    text, ref = told[0].strip()[:200], told[1]
    place = pattern.where.rpartition("/")[2]
    where = f", which {place} knows" if place else ""
    return Finding(
        cause=pattern.cause,
        tier=tier,
        said=f"{text}{where}",
        evidence=(fact(text, ref),),
        confidence="established" if tier is Tier.EXCEPTION else "supported",
        rank=scene.first.rank if scene.first is not None else None,
        vague=pattern.role == "cascade",
        hint=pattern.hint,
        root=pattern.pattern,
    )
