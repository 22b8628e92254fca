"""Tell a cause from an exception: what the program says of itself, errno, type, message.

An errno says more than a type, since `OSError` covers everything; a type of a mistake in the
program says more than words in its message. A name matches an exception or any of its bases.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from msgspec.structs import replace

from makeway.health.rules import inputs
from makeway.health.rules.finding import Finding, Tier, fact
from makeway.health.rules.scene import Scene
from makeway.health.rules.signs import (
    CONNECTION_ERRNOS,
    is_collective,
    is_connection,
    names_of,
    sign_of,
)
from makeway.model.incident import Failure
from makeway.model.record import Cause, CauseClass

C = Cause
BY_ERRNO = {
    **dict.fromkeys(CONNECTION_ERRNOS, C.CONNECTION),
    28: C.DISK_FULL, 122: C.DISK_FULL,
    5: C.STORAGE, 116: C.STORAGE, 107: C.STORAGE, 30: C.STORAGE,
    13: C.PERMISSION, 1: C.PERMISSION,
}  # fmt: skip
OURS = {"Permanent": C.USER_PERMANENT, "DataLost": C.DATA_LOST, "InvalidInput": C.BAD_OUTPUT,
        "OutOfMemory": C.OOM_HOST, "Retry": C.UNKNOWN,
        "NoQualifiedModel": C.NO_QUALIFIED_MODEL}  # fmt: skip
MISTAKES = {
    "ImportError", "ModuleNotFoundError", "SyntaxError", "IndentationError", "TabError", "NameError",
    "UnboundLocalError", "TypeError", "KeyError", "AttributeError", "IndexError", "LookupError",
    "AssertionError", "NotImplementedError", "ZeroDivisionError", "RecursionError",
}  # fmt: skip
IMPORTS = {"ImportError", "ModuleNotFoundError"}
ANYWHERE = {*IMPORTS, "SyntaxError", "IndentationError", "TabError"}  # in whatever frame they are
UNREADABLE = {
    "UnicodeDecodeError", "JSONDecodeError", "UnpicklingError", "ArrowInvalid", "ParquetError",
    "BadGzipFile", "BadZipFile", "ReadError", "UnidentifiedImageError", "LZMAError", "DataCorruption",
}  # fmt: skip
BY_TYPE = (
    (UNREADABLE, C.BAD_DATA),
    ({"PermissionError"}, C.PERMISSION),
    ({"AuthenticationError", "NoCredentialsError", "InvalidToken", "ExpiredToken"}, C.AUTH),
    ({"ObjectLostError", "ObjectReconstructionFailedError", "OwnerDiedError"}, C.DATA_LOST),
    ({"OperationalError", "HTTPError", "SSLError", "ConnectionClosed"}, C.CONNECTION),
)
WAIT = re.compile(r"retry[- _]?after\W{1,3}(\d{1,6}(?:\.\d+)?)(\s*m(?:in)?\b)?", re.IGNORECASE)


def look(scene: Scene) -> Iterator[Finding]:
    """Find what the exception of the first failure speaks for."""
    death = scene.first
    if death is not None and death.error is not None:
        found = of_error(scene, death.error, death.error_ref, death.rank)
        if found is not None:
            yield found


def of_error(scene: Scene, error: Failure, ref: str, rank: int | None) -> Finding | None:
    """Judge one exception, wherever it was read."""
    cause = cause_of(error)
    if cause is None:
        return None
    log = ref.startswith("log")
    alone = rank is None or len(scene.incident.workers) == 1
    found = Finding(
        cause=cause,
        tier=Tier.LOG if log else Tier.EXCEPTION,
        said=("" if alone else f"rank {rank}: ") + said_of(error),
        evidence=(fact(said_of(error), ref),),
        confidence="supported" if log else "established",
        rank=rank,
        root=root_of(error),
        nodes=_suspects(scene, cause),
    )
    return _special(scene, error, found)


def cause_of(error: Failure) -> Cause | None:
    """Give the cause that an exception speaks for, or None if no rule knows it."""
    names = names_of(error)
    ours = next((OURS[name] for name in names if name in OURS), None)
    if ours is not None:
        return ours
    if is_collective(error):
        return C.NETWORK_COLLECTIVE
    sign = sign_of(error.message)
    said = sign.cause if sign is not None else None
    if IMPORTS & set(names):
        return C.ENV_MISMATCH if said is C.ENV_MISMATCH else C.CODE_ERROR
    if error.errno in BY_ERRNO:
        shared = said in (C.SHM_FULL, C.AUTH)
        return said if shared else BY_ERRNO[error.errno]
    if MISTAKES & set(names):
        own = bool(ANYWHERE & set(names)) or not error.frames
        return C.CODE_ERROR if own or any(frame.user for frame in error.frames) else None
    if said is not None and said not in (C.OOM_GPU, C.GPU_HARDWARE, C.GPU_USER_FAULT, C.OOM_HOST):
        return said
    if is_connection(error):
        return C.CONNECTION
    return next((cause for known, cause in BY_TYPE if known & set(names)), None)


def _special(scene: Scene, error: Failure, found: Finding) -> Finding | None:
    """Take account of what else is known, where the exception alone does not decide."""
    incident = scene.incident
    before = [past for past in incident.history if past.cause is found.cause]
    changed: dict[str, object] = {}
    match found.cause:
        case C.CONNECTION:
            waits = [WAIT.search(text) for text in (error.message, *incident.log)]
            told = next((one for one in waits if one), None)
            changed["after_s"] = float(told[1]) * (60 if told[2] else 1) if told else 0.0
        case C.UNKNOWN:  # it asks for another attempt itself
            told = WAIT.search(error.message)
            changed["after_s"] = float(told[1]) if told else 0.0
            changed["cause_class"] = CauseClass.TEMPORARY
        case C.BAD_DATA | C.ENV_MISMATCH:
            changed["once"] = True
            changed["cause_class"] = CauseClass.PERMANENT if before else None
            if found.cause is C.ENV_MISMATCH and incident.cluster.other_nodes == 0:
                changed["cause_class"] = CauseClass.PERMANENT
        case C.PERMISSION if incident.cluster.others_hit:
            at = next((at for at, one in enumerate(incident.cluster.others_hit)
                       if one.cause in (C.PERMISSION, C.STORAGE)), None)  # fmt: skip
            if at is not None:
                more = fact("others cannot reach it either", f"cluster.others_hit[{at}]")
                changed.update(cause=C.STORAGE, evidence=(*found.evidence, more))
                changed["confidence"] = "supported"
        case C.DATA_LOST:
            changed["rerun"] = inputs.makers(incident, error.message)
    return _with(found, changed)


def _with(found: Finding, changed: dict[str, object]) -> Finding:
    return replace(found, **changed)


def _suspects(scene: Scene, cause: Cause) -> tuple[str, ...]:
    """Name the machine, where the cause may be one of its own."""
    node = scene.node
    if node is None:
        return ()
    if cause is C.STORAGE:  # once may be an accident; twice on one machine is the machine
        again = any(p.cause is cause and p.node == node for p in scene.incident.history)
        return (node,) if again else ()
    return (node,) if cause in (C.ENV_MISMATCH, C.SDC_SUSPECTED) else ()


def said_of(error: Failure) -> str:
    """Write an exception as one would read it, with the place in the user's own code."""
    frame = next((one for one in reversed(error.frames) if one.user), None)
    file = frame.file.rpartition("/")[2] if frame else ""
    where = f" at {file}:{frame.line} in {frame.function}" if frame else ""
    name = error.type.rpartition(".")[2]
    message = " ".join(error.message.split())[:300]
    number = f" (errno {error.errno})" if error.errno and not message else ""
    return f"{name}: {message}{where}" if name and message else f"{name or message}{number}{where}"


PATH = re.compile(r"(?:[A-Za-z]:)?(?:[\w.~-]*/)+[\w.~-]*")
NUMBER = re.compile(r"0x[0-9a-f]+|\b[0-9a-f]{8,}\b|\d+(?:\.\d+)?", re.IGNORECASE)


def root_of(error: Failure, *, exact: bool = False) -> str:
    """Give what is the same when the same happens again: no number, path or address.

    With `exact` the message stays as it is: the place in the data is what is the same.
    """
    frame = next((one for one in reversed(error.frames) if one.user), None)
    message = " ".join(error.message.split())
    if not exact:
        message = NUMBER.sub("#", PATH.sub("<path>", message))
    name = error.type.rpartition(".")[2]
    place = f" {frame.file.rpartition('/')[2]}:{frame.function}" if frame else ""
    return f"{name} {message}{place}"


def last_of(scene: Scene) -> tuple[Failure, int] | None:
    """Find the exception that the log ends with, and its line."""
    found = None
    for at, line in enumerate(scene.incident.log):
        match = LINE.match(line.strip())
        if match and match[1] not in ("INFO", "DEBUG", "WARNING"):
            number = ERRNO.search(match[2] or "")
            errno = int(number[1]) if number else None
            found = Failure(type=match[1], message=match[2] or "", errno=errno), at
    return found


LINE = re.compile(
    r"(?:\[?rank\s*\d+\]?:\s*|E\s+)?((?:[A-Za-z_]\w*\.)*[A-Z]\w*(?:Error|Exception|Lost|Permanent"
    r"|Invalid|Timeout|Interrupt|Decode|BadGzipFile|OutOfMemory))(?::\s*(.*))?$"
)
ERRNO = re.compile(r"\[Errno (\d{1,4})\]")
