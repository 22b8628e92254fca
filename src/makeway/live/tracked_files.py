"""Keep the files that MLflow's client logs: the content among the artifacts, the path in a table.

A path reads `runs/RUN/…` or `models/MODEL/…`. It never names anything on a disk, so nothing can be
reached by it that was not put there; what looks as if it tried is refused all the same, since whoever
fetches the file makes a path of it.

Raises:  InvalidInput: no such path can be · NotFound · NotAllowed
Cost:    a file is written once, as it comes
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import BinaryIO

import msgspec

from makeway.codec import encode
from makeway.errors import InvalidInput, NotAllowed, NotFound
from makeway.live.tracker import Batch, Subject, Teller, Tracker
from makeway.model.record import Note
from makeway.model.tracked import mlflow_id
from makeway.store.tracked import (
    TrackedFile,
    TrackedModel,
    find_file,
    forget_files,
    get_model,
    list_files,
    put_file,
)

RUNS, MODELS = "runs", "models"
ROOT = "mlflow-artifacts:/"
PATH_CHARS_MAX, NAME_CHARS_MAX = 1_000, 255


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """What lies in a folder: a file with its size, or a folder."""

    name: str
    size_bytes: int | None = None


class Owner(msgspec.Struct, frozen=True, kw_only=True):
    """Whose files they are: a run's or a model's (which may belong to a run)."""

    id: str
    subject: Subject | None = None
    model: TrackedModel | None = None


def root_of_run(subject: Subject) -> str:
    """Say where the client puts the files of a run."""
    return f"{ROOT}{RUNS}/{subject.run_id}"


def root_of_model(model: TrackedModel) -> str:
    """Say where the client puts the files of a model."""
    return f"{ROOT}{MODELS}/{model.id}"


def take(tracker: Tracker, teller: Teller, place: str, parts: Iterable[bytes]) -> TrackedFile:
    """Keep a file, part by part as it comes; the one that was there before is replaced."""
    owner, path = owner_of(tracker, place)
    if not path:
        raise InvalidInput("this is a folder", where=place)
    _assert_theirs(tracker, teller, owner)
    digest, size = tracker.blobs.put_parts(parts)
    file = TrackedFile(
        owner=owner.id, path=path, digest=digest, size_bytes=size, at_ms=tracker.now_ms()
    )
    put_file(tracker.database, file)
    if owner.subject is not None and owner.model is None:
        _note(tracker, teller, owner.subject, _noted("artifact", path, digest, size))
    return file


def open_file(tracker: Tracker, place: str) -> tuple[TrackedFile, BinaryIO]:
    """Open a file for reading."""
    owner, path = owner_of(tracker, place)
    file = find_file(tracker.reader, owner.id, path)
    if file is None:
        raise NotFound("there is no such file", where=place)
    return file, tracker.blobs.open(file.digest)


def remove(tracker: Tracker, teller: Teller, place: str) -> None:
    """Take a file, or a folder with all that is in it, out of the list."""
    owner, path = owner_of(tracker, place)
    _assert_theirs(tracker, teller, owner)
    below = f"{path}/" if path else ""
    paths = [file.path for file in list_files(tracker.reader, owner.id)]
    chosen = [one for one in paths if one == path or one.startswith(below)]
    if not chosen:
        raise NotFound("there is no such file", where=place)
    forget_files(tracker.database, owner.id, chosen)


def listed(tracker: Tracker, place: str) -> Sequence[Listed]:
    """Give what lies in a folder, by name; in a file lies nothing."""
    owner, path = owner_of(tracker, place)
    below, found = f"{path}/" if path else "", dict[str, Listed]()
    for file in list_files(tracker.reader, owner.id):
        if file.path.startswith(below):
            name, inner, _ = file.path.removeprefix(below).partition("/")
            found[name] = Listed(name=name, size_bytes=None if inner else file.size_bytes)
    return [found[name] for name in sorted(found)]


def seal(tracker: Tracker, teller: Teller, model: TrackedModel) -> str:
    """Make one artifact of what a model is made of, note it with its run, and give its digest."""
    files = list_files(tracker.reader, model.id)
    content = {file.path: file.digest for file in files}
    digest = tracker.blobs.put_bytes(encode(content))
    if model.run is not None:
        size = sum(file.size_bytes for file in files)
        note = _noted("model", model.name, digest, size, "mlflow-model")
        _note(tracker, teller, tracker.subject(mlflow_id(model.run)), note)
    return digest


def owner_of(tracker: Tracker, place: str) -> tuple[Owner, str]:
    """Find whose files a path is about, and the rest of it."""
    kind, *rest = _parts(place)
    name, path = (rest[0], "/".join(rest[1:])) if rest else ("", "")
    subject: Subject | None
    if kind == RUNS and name:
        subject = tracker.subject(name)
        return Owner(id=subject.id, subject=subject), path
    if kind == MODELS and name:
        model = get_model(tracker.reader, name)
        subject = None if model.run is None else tracker.subject(mlflow_id(model.run))
        return Owner(id=model.id, subject=subject, model=model), path
    raise NotFound("a path begins with runs/RUN or models/MODEL", where=place)


def _parts(place: str) -> list[str]:
    parts = place.strip("/").split("/")
    for part in parts:
        strange = part in {"", ".", ".."} or "\\" in part or "\0" in part
        if strange or len(part) > NAME_CHARS_MAX or len(place) > PATH_CHARS_MAX:
            raise InvalidInput("this is no path of a file here", where=place[:PATH_CHARS_MAX])
    return parts


def _assert_theirs(tracker: Tracker, teller: Teller, owner: Owner) -> None:
    if owner.subject is not None:
        tracker.assert_may_tell(teller, owner.subject)
    elif owner.model is not None:
        assert_model_theirs(teller, owner.model)


def assert_model_theirs(teller: Teller, model: TrackedModel) -> None:
    """Refuse who changes a model that is not theirs, and belongs to no run."""
    if not (teller.may_tell and (teller.of_all or teller.user == model.user)):
        raise NotAllowed(f"it is {model.user}'s", where=f"model {model.id}")


def _noted(kind: str, key: str, digest: str, size_bytes: int, codec: str = "file") -> Note:
    value = {"digest": digest, "size_bytes": size_bytes, "codec": codec}
    return Note(kind=kind, key=key, at_ms=0, value=value)


def _note(tracker: Tracker, teller: Teller, subject: Subject, note: Note) -> None:
    dated = msgspec.structs.replace(note, at_ms=tracker.now_ms())
    tracker.tell(teller, subject, Batch(notes=(dated,)))


def parts_of(file: BinaryIO, size_bytes: int = 1 << 20) -> Iterator[bytes]:
    """Give an open file part by part, and close it."""
    with file:
        while part := file.read(size_bytes):
            yield part
