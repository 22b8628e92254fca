"""Publish saved work whole or not at all, and never over that of a later generation.

A checkpoint is a folder: what the program wrote, and `manifest.json`, which names every file with its
size and digest, the training step, and the fence of the attempt. It is written beside its place
under another name; files, then the folder, are brought to the disk; then one `rename` makes it
there. Whoever was stopped in between has left nothing that anybody would take for a checkpoint.

The fence goes up with each attempt and each change of the workers. Who publishes looks, under a lock,
whether one with a higher fence has published already: a process that slept through its own
replacement is refused here, whatever it believes itself.

    checkpoint/
      step-00000120-7/     the step, the fence
        manifest.json  model.pt …
      .step-00000140-7.tmp.4711    torn: nobody reads it, the next who publishes removes it

Takes:   folder of a job's checkpoints (MAKEWAY_CHECKPOINT), step >= 0, fence >= 0
Gives:   Checkpoint: where it lies, and what its manifest says
Raises:  Conflict, by `publish`: a later generation has published · InvalidInput, by `check`: a file
         is not as the manifest says
Holds:   what `latest` gives was published whole · a stale fence publishes nothing
Cost:    one fsync a file and two of folders
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import itertools
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from makeway.errors import Conflict, InvalidInput
from makeway.failpoint import reach

MANIFEST, LOCK = "manifest.json", ".lock"
NAMED = re.compile(r"step-(\d+)-(\d+)(?:\.(\d+))?")  # the third: the same step again
KEEP = 2
READ_BYTES = 1 << 20


class Saved(msgspec.Struct, frozen=True, kw_only=True):
    """A file of a checkpoint."""

    size_bytes: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a checkpoint says of itself; `progress` is 0 to 1, where it is known."""

    step: int
    fence: int
    at_ms: int
    files: dict[str, Saved]
    progress: float | None = None


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A published checkpoint."""

    path: Path
    manifest: Manifest

    def check(self) -> None:
        """Compare every file with what the manifest says of it."""
        for name, saved in self.manifest.files.items():
            file = self.path / name
            problem = _difference(file, saved)
            if problem:
                raise InvalidInput(
                    f"the checkpoint is damaged: {name} {problem}", where=str(file),
                    hint="the checkpoint before it may be whole: remove this one",
                )  # fmt: skip


def publish(
    folder: Path,
    write: Callable[[Path], None],
    *,
    step: int,
    fence: int,
    progress: float | None = None,
) -> Checkpoint:
    """Let `write` fill a folder, and publish it; keep the last two."""
    folder.mkdir(parents=True, exist_ok=True)
    _refuse_stale(folder, fence)  # before anything is written: it would be for nothing
    torn = folder / f".{_name(step, fence)}.tmp.{os.getpid()}"
    shutil.rmtree(torn, ignore_errors=True)
    torn.mkdir()
    try:
        write(torn)
        reach("checkpoint.written")
        files = {str(one.relative_to(torn)): _synced(one) for one in _files(torn)}
        manifest = Manifest(
            step=step,
            fence=fence,
            at_ms=time.time_ns() // 1_000_000,
            files=files,
            progress=progress,
        )
        (torn / MANIFEST).write_bytes(msgspec.json.encode(manifest))
        _sync(torn / MANIFEST)
        for inner in {one.parent for one in _files(torn)} | {torn}:
            _sync(inner)
        with _locked(folder):
            _refuse_stale(folder, fence)
            reach("checkpoint.rename.before")
            place = _free(folder / _name(step, fence))
            torn.rename(place)
            reach("checkpoint.rename.after")
            _sync(folder)
            _clear(folder)
    except BaseException:
        shutil.rmtree(torn, ignore_errors=True)
        raise
    return Checkpoint(path=place, manifest=manifest)


def latest(folder: Path) -> Checkpoint | None:
    """Find the checkpoint from which to go on; None if there is none."""
    return max(published(folder), key=_order, default=None)


def published(folder: Path) -> Iterator[Checkpoint]:
    """Give the checkpoints that are there whole, by what their manifests say."""
    try:
        entries = list(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in entries:
        if NAMED.fullmatch(entry.name):
            with contextlib.suppress(OSError, msgspec.DecodeError):
                manifest = msgspec.json.decode((entry / MANIFEST).read_bytes(), type=Manifest)
                yield Checkpoint(path=entry, manifest=manifest)


def _order(one: Checkpoint) -> tuple[int, int, int]:
    named = NAMED.fullmatch(one.path.name)
    return one.manifest.fence, one.manifest.step, int((named and named[3]) or 0)


def _free(place: Path) -> Path:
    """Give a name that is not taken: what was saved of this step before stays until this is there."""
    again = (place.with_name(f"{place.name}.{count}") for count in itertools.count(2))
    return next(one for one in itertools.chain([place], again) if not one.exists())


def _name(step: int, fence: int) -> str:
    return f"step-{step:08d}-{fence}"


def _refuse_stale(folder: Path, fence: int) -> None:
    last = latest(folder)
    if last is not None and last.manifest.fence > fence:
        raise Conflict(
            f"generation {last.manifest.fence} has published already; this is generation {fence}",
            where=str(folder),
            hint="this process was replaced while it slept: it has to end",
        )


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    with (folder / LOCK).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _clear(folder: Path) -> None:
    """Remove what is older than the last ones, and what others left torn."""
    for old in sorted(published(folder), key=_order)[:-KEEP]:
        # First it is no checkpoint any more, then it goes: whoever is killed in between leaves no
        # half of one under its name.
        gone = old.path.with_name(f".{old.path.name}.tmp.{os.getpid()}")
        with contextlib.suppress(OSError):
            old.path.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)
    for torn in folder.glob(".step-*.tmp.*"):
        pid = torn.name.rpartition(".")[2]
        if not Path(f"/proc/{pid}").exists():
            shutil.rmtree(torn, ignore_errors=True)


def _files(folder: Path) -> list[Path]:
    return sorted(one for one in folder.rglob("*") if one.is_file())


def _synced(file: Path) -> Saved:
    _sync(file)
    return Saved(size_bytes=file.stat().st_size, sha256=_digest(file))


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _digest(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as data:
        while block := data.read(READ_BYTES):
            digest.update(block)
    return digest.hexdigest()


def _difference(file: Path, saved: Saved) -> str:
    try:
        size = file.stat().st_size
    except OSError:
        return "is not there"
    if size != saved.size_bytes:
        return f"has {size} bytes instead of {saved.size_bytes}"
    return "" if _digest(file) == saved.sha256 else "has other contents than were saved"
