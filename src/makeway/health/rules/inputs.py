"""Tell data that are lost from a file that never was there, and from one that is away for a while.

What makeway keeps and cannot find any more is lost: the step that made it must run again. Anything
that is durable is still somewhere; its store cannot be reached. A file of the user's own that is
missing right after the start was never there. And where the samples say that the data were there
and then were not, one waits until they are back.
"""

from __future__ import annotations

from collections.abc import Iterator

from makeway.health.rules.finding import Finding, Tier, fact, when
from makeway.health.rules.scene import Death, Scene
from makeway.health.rules.signs import is_connection, names_of
from makeway.model.incident import Incident, InputSeen, Point
from makeway.model.record import Cause, Evidence

ENOENT = 2
EARLY_S = 60.0
NOT_HERE = "makeway.errors.NotFound"  # what reading an artifact says of one that is gone
MOUNT = ("mount", "nfs", "stale", "probe", "volume", "file system", "filesystem", "lustre")


def look(scene: Scene) -> Iterator[Finding]:
    """Find what became of the inputs."""
    death = scene.first
    if death is None:
        return
    missing = _missing(death)
    lost = lost_inputs(scene.incident)
    reached = death.error is not None and is_connection(death.error)
    plain = death.error is None and death.by is None and not death.lost
    if lost and (missing or reached or plain or _names(death, lost)):
        yield _lost(scene, death, lost)
    elif missing:
        yield from _not_found(scene, death)
    elif (away := away_since(scene.incident)) is not None:
        yield _away(scene, death, away, Tier.SAMPLES)


def lost_inputs(incident: Incident) -> list[tuple[int, InputSeen]]:
    """Give the inputs that makeway kept and that are gone."""
    return [
        (at, one)
        for at, one in enumerate(incident.inputs)
        if one.ours and one.available is False and one.durability != "durable"
    ]


def makers(incident: Incident, message: str = "") -> tuple[str, ...]:
    """Name the steps that made what is lost; of those that a message names, if it names any."""
    named = [
        one.producer for one in incident.inputs if one.producer and one.name and one.name in message
    ]
    gone = [one.producer for _, one in lost_inputs(incident) if one.producer]
    ours = [one.producer for one in incident.inputs if one.ours and one.producer]
    found = gone or named or (ours if len(ours) == 1 else [])
    return tuple(dict.fromkeys(name for name in found if name))


def away_since(incident: Incident) -> tuple[str, Point, Point] | None:
    """Find data that were there and then were not: their name, the last yes, the first no."""
    end_s = incident.end_s
    for name, series in incident.available.items():
        before = [one for one in series if end_s is None or one.at_s <= end_s]
        if not before or before[-1].value:
            continue
        seen = [one for one in before if one.value]
        if seen:
            gone = next(one for one in before if one.at_s >= seen[-1].at_s and not one.value)
            return name, seen[-1], gone
    return None


def is_back(incident: Incident, name: str) -> bool:
    """Say whether data that were away are there again."""
    series = incident.available.get(name, ())
    known = [one.available for one in incident.inputs if one.name == name]
    return bool(series and series[-1].value) or True in known


def not_there(incident: Incident) -> str | None:
    """Name the data that are known to be away now, if any are."""
    for one in incident.inputs:
        if one.available is False and not (one.ours and one.durability != "durable"):
            return one.name or one.path or "its input"
    away = away_since(incident)
    return away[0] if away is not None and not is_back(incident, away[0]) else None


def away_paths(incident: Incident) -> tuple[str, ...]:
    """Give the paths of what is known to be away, where they are known: it can be looked for."""
    paths = [one.path for one in incident.inputs if one.available is False and one.path]
    away = away_since(incident)
    if away is not None and away[0].startswith("/"):  # it goes by its path
        paths.append(away[0])
    return tuple(dict.fromkeys(paths))


def _missing(death: Death) -> bool:
    error = death.error
    if error is None:
        return False
    if error.errno is not None:
        return error.errno == ENOENT
    if error.type == NOT_HERE:
        return True
    return "FileNotFoundError" in names_of(error) or "no such file" in error.message.lower()


def _names(death: Death, lost: list[tuple[int, InputSeen]]) -> bool:
    message = death.error.message if death.error is not None else ""
    known = [text for _, one in lost for text in (one.name, one.path) if text]
    return any(text in message for text in known)


def _lost(scene: Scene, death: Death, lost: list[tuple[int, InputSeen]]) -> Finding:
    told = [
        fact(f"{one.name or 'an input'}{_of(one)} is gone", f"inputs[{at}].available")
        for at, one in lost
    ]
    if death.error is not None:
        told.append(fact(f"{death.error.type}: {death.error.message}"[:200], death.error_ref))
    names = ", ".join(one.name or "an input" for _, one in lost)
    held = {one.durability for _, one in lost if one.durability}
    where = f" from the {', '.join(sorted(held))} that held it" if held else ""
    return Finding(
        cause=Cause.DATA_LOST,
        tier=Tier.EXCEPTION if death.error is not None else Tier.SAMPLES,
        said=f"{names} is gone{where}",
        evidence=tuple(told),
        confidence="established" if death.error is not None else "supported",
        rank=death.rank,
        rerun=makers(scene.incident),
        root=names,
    )


def _of(one: InputSeen) -> str:
    return f", made by {one.producer}," if one.producer else ""


def _not_found(scene: Scene, death: Death) -> Iterator[Finding]:
    """Judge a file that is not there and that is not ours to make again."""
    incident, error = scene.incident, death.error
    assert error is not None, "a file that is missing was told by an exception"
    told = (fact(f"{error.type}: {error.message}"[:200], death.error_ref),)
    ours = [one for one in incident.inputs if one.ours and _is_meant(one, error.message)]
    if ours and all(one.durability != "durable" for one in ours):
        yield Finding(
            cause=Cause.DATA_LOST, tier=Tier.EXCEPTION, said=error.message[:200], evidence=told,
            rank=death.rank, rerun=tuple(one.producer for one in ours if one.producer),
            root=",".join(one.name or "" for one in ours),
        )  # fmt: skip
        return
    away = away_since(incident)
    durable = any(one.ours and one.available is False for one in incident.inputs)
    if away is not None or durable:
        yield _away(scene, death, away, Tier.EXCEPTION)
        return
    mount = _mount(incident)
    if mount is not None:
        yield Finding(
            cause=Cause.STORAGE, tier=Tier.EXCEPTION, said="the file system that holds it fails",
            evidence=(*told, mount), confidence="supported", rank=death.rank,
        )  # fmt: skip
        return
    early = death.at_s is None or death.at_s <= EARLY_S
    if early or any(_is_meant(one, error.message) for one in incident.inputs):
        yield Finding(
            cause=Cause.MISSING_INPUT, tier=Tier.EXCEPTION, said=error.message[:200] or error.type,
            evidence=told, rank=death.rank,
            confidence="supported" if death.at_s is None else "established",
        )  # fmt: skip
        return
    yield Finding(
        cause=Cause.UNKNOWN, tier=Tier.EXCEPTION, vague=True, evidence=told, rank=death.rank,
        said=f"a file was missing only after {when(death.at_s or 0.0)}, so it is none of its inputs",
        confidence="unknown",
    )  # fmt: skip


def _is_meant(one: InputSeen, message: str) -> bool:
    return any(text in message for text in (one.path, one.name) if text)


def _mount(incident: Incident) -> Evidence | None:
    for at, node in enumerate(incident.nodes):
        for place, text in enumerate(node.faults):
            if any(word in text.lower() for word in MOUNT):
                return fact(text, incident.node_ref(at, f"faults[{place}]"))
    for at, other in enumerate(incident.cluster.others_hit):
        if other.cause in (Cause.STORAGE, Cause.MISSING_INPUT):
            return fact("others miss it too", f"cluster.others_hit[{at}]")
    return None


def _away(scene: Scene, death: Death, away: tuple[str, Point, Point] | None, tier: Tier) -> Finding:
    told = []
    name = "its input"
    if away is not None:
        name, last, first = away
        text = f"{name} was there at {when(last.at_s)} and was not at {when(first.at_s)}"
        told.append(fact(text, f"samples.data_available.{name}[{first.index}]"))
    if death.error is not None:
        told.append(fact(f"{death.error.type}: {death.error.message}"[:200], death.error_ref))
    back = is_back(scene.incident, name)
    return Finding(
        cause=Cause.DATA_UNAVAILABLE,
        tier=tier,
        said=f"{name} could not be reached any more" + (", and is back now" if back else ""),
        evidence=tuple(told),
        confidence="established" if tier is Tier.EXCEPTION and away else "supported",
        rank=death.rank,
        wait="" if back else f"{name} to be there again",
        root=name,
    )
