"""Keep artifacts in an object store as well, so that they outlive the folder of the store.

`[artifacts] url = "s3://bucket/makeway"`: whatever fsspec knows (S3, GCS, Azure, another file
system). What is stored is put into the folder first, as ever, and then sent; what is not in the
folder is fetched from there, compared with its digest, and kept. The folder is then no more than
what is at hand: anything in it may be removed.

The URL stands in a note in the folder, so that every command and every worker finds it. Credentials
do not: they come from the environment, as the object store's own tools take them.

Takes:   the folder of the store, a URL
Raises:  Unavailable: it cannot be reached, or what came is damaged · NotFound, from `fetch`
Holds:   what is fetched has its digest, or is not kept · what is there whole is not sent again
"""

from __future__ import annotations

import hashlib
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from makeway.errors import NotFound, Unavailable

NOTE = "artifacts.url"
CHUNK_BYTES = 4 << 20
TELL_EVERY_S = 2.0
MIB = 1 << 20

Progress = Callable[[str, int, int], None]


def noted(folder: Path) -> str:
    """Give the URL of the object store; empty: there is none."""
    with suppress(OSError, UnicodeDecodeError):
        return (folder / NOTE).read_text("utf-8").strip()
    return ""


def note(folder: Path, url: str) -> None:
    """Note the URL, whole or not at all; an empty one takes the note away."""
    if not url:
        (folder / NOTE).unlink(missing_ok=True)
        return
    fresh = folder / f".{NOTE}.{os.getpid()}"
    fresh.write_text(f"{url}\n", "utf-8")
    fresh.rename(folder / NOTE)


class Depot:
    """One object store; see the module."""

    def __init__(self, url: str, progress: Progress | None = None) -> None:
        """Take its URL; `progress` is told what is on its way, so many of so many bytes."""
        try:
            from fsspec.core import url_to_fs

            self._files, root = url_to_fs(url)
        except (ImportError, ValueError) as error:
            hint = "pip install 'makeway[s3]' for s3://, or what fsspec names for others"
            raise Unavailable(f"it cannot be used: {error}", where=url, hint=hint) from None
        self._url, self._root, self._progress = url, root.rstrip("/"), progress or _Told()

    def has(self, digest: str) -> bool:
        """Say whether an artifact is there."""
        return self._size(digest) is not None

    def send(self, digest: str, path: Path) -> None:
        """Send an artifact, unless it is there in full length."""
        size = path.stat().st_size
        if self._size(digest) == size:
            return
        place, sent = self._place(digest), 0
        with _plainly(self._url):
            self._files.makedirs(place.rpartition("/")[0], exist_ok=True)
            with path.open("rb") as source, self._files.open(place, "wb") as target:
                while chunk := source.read(CHUNK_BYTES):
                    target.write(chunk)
                    sent += len(chunk)
                    self._progress(f"sending {digest[:12]}", sent, size)

    def fetch(self, digest: str, path: Path) -> None:
        """Fetch an artifact into a file; what is not what it should be is not kept."""
        size = self._size(digest)
        if size is None:
            raise NotFound(f"artifact {digest} is not in {self._url}")
        hashed, got = hashlib.sha256(), 0
        with _plainly(self._url), path.open("xb") as target:
            with self._files.open(self._place(digest), "rb") as source:
                while chunk := source.read(CHUNK_BYTES):
                    hashed.update(chunk)
                    target.write(chunk)
                    got += len(chunk)
                    self._progress(f"fetching {digest[:12]}", got, size)
            target.flush()
            os.fsync(target.fileno())
        if hashed.hexdigest() != digest:
            path.unlink()
            problem = f"what is there of {digest} is damaged: its {got} bytes have another digest"
            hint = "remove it there, and the step that made it can make it again"
            raise Unavailable(problem, where=f"{self._url}/{digest[:2]}/{digest[2:]}", hint=hint)

    def _size(self, digest: str) -> int | None:
        self._files.invalidate_cache()  # others write there too
        with _plainly(self._url):
            try:
                return int(self._files.info(self._place(digest))["size"])
            except FileNotFoundError:
                return None

    def _place(self, digest: str) -> str:
        return f"{self._root}/{digest[:2]}/{digest[2:]}"


class _Told:
    """Say in the log how far it is, where it takes long."""

    def __init__(self) -> None:
        self._at_s = time.monotonic() + TELL_EVERY_S

    def __call__(self, what: str, done: int, size: int) -> None:
        if time.monotonic() >= self._at_s:
            self._at_s = time.monotonic() + TELL_EVERY_S
            sys.stderr.write(f"{what}: {done // MIB} of {size // MIB} MiB\n")
            sys.stderr.flush()


class _plainly:  # noqa: N801 - it reads as a phrase: with _plainly(url)
    """Say in our own words what an object store refused, whatever its library raises."""

    def __init__(self, url: str) -> None:
        self._url = url

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, FileNotFoundError) or not isinstance(error, Exception):
            return
        lines = str(error).strip().splitlines() or [type(error).__name__]
        hint = "is the URL right, and do the credentials of the environment allow it?"
        raise Unavailable(lines[-1], where=self._url, hint=hint) from error
