"""Keep artifacts as files that are named by what is in them.

The name of a file is the SHA-256 of its content, so that the same content is stored once, and what
was read can be compared with what was written. A file appears under its name only when it is
complete and on the disk: it is written beside, flushed and then renamed. Two that write the same
content at once do no harm, each renames its own.

A folder is stored as a tar file that depends on names, contents, links and the right to execute
alone: not on times, owners, or the order in which the disk lists it.

Where the folder notes an object store (`depot`), each artifact is sent there as well, and fetched
from there when it is not here.

What need not outlive its machine lies in `node` instead and is not waited for until it is on the
disk; what need not outlive a process is held in memory (`held`). Whoever reads finds it in any of
these: the same content is as good wherever it lies.

It is imported in every worker, so it takes the standard library and our errors, nothing else.

Takes:   the folder of the store; artifacts lie under it as `artifacts/ab/cdef…`
Raises:  NotFound: no such artifact · Unavailable: damaged content, full disk, no permission
         InvalidInput: no digest, or a path that cannot be stored
Cost:    put_bytes 0.2 ms and the disk's flush; put_file and verify about 1 s a GB
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO, cast

from makeway.errors import InvalidInput, NotFound, Unavailable
from makeway.store import held
from makeway.store.depot import Depot, noted

CHUNK_BYTES = 1 << 20
KEPT = ("artifacts", "node")
DIGEST = re.compile(r"[0-9a-f]{64}")


class Blobs:
    """The artifacts in one folder; see the module."""

    def __init__(self, directory: Path, durability: str = "durable") -> None:
        """Take the folder of the store; nothing is made before the first put.

        `durability` is of what is put: what is read may be kept anywhere.
        """
        self.durability, self._directory = durability, directory
        self.root = directory / ("node" if durability == "node" else "artifacts")
        self._kept: Depot | None = None

    def put_bytes(self, data: bytes) -> str:
        """Store these bytes and give their digest."""
        digest = hashlib.sha256(data).hexdigest()
        with _plainly(self.root):
            if not self._complete(digest, len(data)):
                self._put(lambda file: file.write(data), digest)
            elif (depot := self._depot()) is not None:
                depot.send(digest, self.path(digest))  # it was here before there was one
        return digest

    def put_file(self, path: Path) -> str:
        """Store a file, or a folder as a tar file, and give the digest; it is read once."""
        if not path.exists():
            raise NotFound("there is no such file or folder", where=str(path))
        with _plainly(path):
            if path.is_dir():
                return self._put(lambda file: _write_tar(path, file))
            if path.is_file():
                return self._put(lambda file: _copy(path, file))
        raise InvalidInput("this is neither a file nor a folder", where=str(path))

    def put_parts(self, parts: Iterable[bytes]) -> tuple[str, int]:
        """Store what comes part by part, and give its digest and size; none of it if parts fail."""
        size = 0

        def write(file: Hashing) -> None:
            nonlocal size
            for part in parts:
                file.write(part)
                size += len(part)

        with _plainly(self.root):
            return self._put(write), size

    def path(self, digest: str) -> Path:
        """Say where the artifact lies, wherever it is kept; or where it has lain, or would lie."""
        own = self._own(digest)
        if own.exists():
            return own
        others = (self._directory / kind / digest[:2] / digest[2:] for kind in KEPT)
        found = next((path for path in others if path.exists()), None)
        found = found or held.find(self._directory, digest)
        return found or held.last_known(self._directory, digest) or own

    def has(self, digest: str) -> bool:
        """Say whether the artifact is there, or can be fetched."""
        if self.path(digest).is_file():
            return True
        depot = self._depot()
        return depot is not None and depot.has(digest)

    def _own(self, digest: str) -> Path:
        """Say where it lies if it was put here."""
        if not DIGEST.fullmatch(digest):
            raise InvalidInput(f"{digest!r} is no digest: 64 of 0-9a-f", where="artifact")
        return self.root / digest[:2] / digest[2:]

    def size(self, digest: str) -> int:
        """Give its size in bytes."""
        with self._found(digest) as path:
            return path.stat().st_size

    def open(self, digest: str) -> BinaryIO:
        """Open it for reading; what is read is not compared with the digest."""
        with self._found(digest) as path:
            return path.open("rb")

    def read(self, digest: str) -> bytes:
        """Read all of it, without comparing."""
        with self._found(digest) as path:
            return path.read_bytes()

    def read_verified(self, digest: str) -> bytes:
        """Read all of it, and be sure that it is what was put there."""
        data = self.read(digest)
        self._compare(digest, hashlib.sha256(data).hexdigest(), len(data))
        return data

    def verify(self, digest: str) -> None:
        """Be sure that it is what was put there, without holding it in memory."""
        hashed, size = hashlib.sha256(), 0
        with self._found(digest) as path, path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                hashed.update(chunk)
                size += len(chunk)
        self._compare(digest, hashed.hexdigest(), size)

    def unpack(self, digest: str, directory: Path) -> None:
        """Put the content of a stored folder into this one; nothing lands outside of it."""
        import tarfile  # few workers store a folder

        self.verify(digest)
        directory.mkdir(parents=True, exist_ok=True)
        try:
            with self._found(digest) as path, tarfile.open(path, "r:") as tar:
                tar.extractall(directory, filter="data")
        except tarfile.TarError as error:
            raise InvalidInput(f"this folder cannot be unpacked: {error}", where=digest) from None

    def _put(self, write: Callable[[Hashing], object], digest: str | None = None) -> str:
        """Write a new file, and give it its name once it is on the disk."""
        self.root.mkdir(parents=True, exist_ok=True)
        name = self.root / f".new-{os.urandom(8).hex()}"
        try:
            with name.open("xb") as file:
                hashing = Hashing(file)
                write(hashing)
                digest = digest or hashing.digest.hexdigest()
                if not self._complete(digest, hashing.size):
                    file.flush()
                    os.fchmod(file.fileno(), 0o444)  # an artifact never changes
                    if self.durability == "durable":
                        os.fsync(file.fileno())
                    self._publish(name, digest)
                if self.durability == "durable" and (depot := self._depot()) is not None:
                    depot.send(digest, self.path(digest))
        finally:
            name.unlink(missing_ok=True)  # unless it has its own name by now
        return digest

    def _depot(self) -> Depot | None:
        if self._kept is None and (url := noted(self._directory)):
            self._kept = Depot(url)
        return self._kept

    def _fetch(self, digest: str) -> None:
        """Have what is not here from the object store, if there is one and it is there."""
        depot = self._depot()
        if depot is None or not depot.has(digest):
            return
        self.root.mkdir(parents=True, exist_ok=True)
        name = self.root / f".new-{os.urandom(8).hex()}"
        try:
            depot.fetch(digest, name)
            name.chmod(0o444)
            self._publish(name, digest)
        finally:
            name.unlink(missing_ok=True)

    def _publish(self, name: Path, digest: str) -> None:
        target = self._own(digest)
        if not target.parent.is_dir():
            target.parent.mkdir(exist_ok=True)
            _flush_folder(self.root)
        name.replace(target)
        _flush_folder(target.parent)

    def _complete(self, digest: str, size: int) -> bool:
        """Say whether it is there in full length; one that a broken disk cut off is put again."""
        try:
            return self._own(digest).stat().st_size == size
        except FileNotFoundError:
            return False

    @contextmanager
    def _found(self, digest: str) -> Iterator[Path]:
        path = self.path(digest)
        with _plainly(path):
            if not path.exists():
                self._fetch(digest)
            try:
                yield path
            except FileNotFoundError:
                hint = "was it removed? the step that made it can make it again"
                raise NotFound(f"artifact {digest} is not here", hint=hint) from None

    def _compare(self, digest: str, found: str, size: int) -> None:
        if found != digest:
            problem = f"this artifact is damaged: its {size} bytes have the digest {found}"
            hint = "remove the file, and the step that made it can make it again"
            raise Unavailable(problem, where=str(self.path(digest)), hint=hint)


class Hashing:
    """A file that is written to, and the digest and size of what was written so far."""

    def __init__(self, file: IO[bytes]) -> None:
        """Take the file; nothing is written yet."""
        self.digest = hashlib.sha256()
        self.size = 0
        self._file = file

    def write(self, data: bytes) -> int:
        """Write, and count it."""
        self.digest.update(data)
        self.size += len(data)
        return self._file.write(data)


def _copy(path: Path, into: Hashing) -> None:
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            into.write(chunk)


def _write_tar(folder: Path, into: Hashing) -> None:
    import tarfile

    # "w|" only ever writes forward, so that the digest can be taken on the way.
    forward = cast("IO[bytes]", into)
    with tarfile.open(fileobj=forward, mode="w|", format=tarfile.PAX_FORMAT) as tar:
        for path in _contents(folder):
            name = path.relative_to(folder).as_posix()
            entry, mode = tarfile.TarInfo(name), path.lstat().st_mode
            if stat.S_ISDIR(mode):
                entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                tar.addfile(entry)
            elif stat.S_ISLNK(mode):
                entry.type, entry.linkname = tarfile.SYMTYPE, str(path.readlink())
                tar.addfile(entry)
            elif stat.S_ISREG(mode):
                entry.mode = 0o755 if mode & stat.S_IXUSR else 0o644
                with path.open("rb") as file:
                    entry.size = os.fstat(file.fileno()).st_size
                    tar.addfile(entry, file)
            else:
                raise InvalidInput("this is no file, folder or link", where=str(path))


def _contents(folder: Path) -> Iterator[Path]:
    """Give everything in a folder in one fixed order, each folder before what is in it."""
    for path in sorted(folder.iterdir(), key=lambda path: os.fsencode(path.name)):
        yield path
        if path.is_dir() and not path.is_symlink():
            yield from _contents(path)


def _flush_folder(folder: Path) -> None:
    """Make the names in a folder durable: a file's own flush does not."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _plainly(path: Path) -> Iterator[None]:
    """Say in our own words what the disk refused."""
    try:
        yield
    except OSError as error:
        problem = f"it could not be read or written: {error.strerror or error}"
        raise Unavailable(problem, where=str(error.filename or path)) from error
