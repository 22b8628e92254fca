"""An artifact is found by what is in it, is complete or absent, and damage has a name."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from makeway.errors import InvalidInput, NotFound, Unavailable
from makeway.store.blobs import CHUNK_BYTES, Blobs

NOWHERE = "0" * 64


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return Blobs(tmp_path / ".makeway")


def files(blobs: Blobs) -> list[Path]:
    """Give all that lies among the artifacts, also what should not."""
    return sorted(path for path in blobs.root.rglob("*") if path.is_file())


# ── bytes ─────────────────────────────────────────────────────────────────────────────────────────


def test_the_name_is_the_digest_of_the_content(blobs: Blobs, tmp_path: Path) -> None:
    digest = blobs.put_bytes(b"hello")
    assert digest == hashlib.sha256(b"hello").hexdigest()
    path = tmp_path / ".makeway" / "artifacts" / digest[:2] / digest[2:]
    assert blobs.path(digest) == path
    assert path.read_bytes() == blobs.read(digest) == blobs.read_verified(digest) == b"hello"
    with blobs.open(digest) as file:
        assert file.read() == b"hello"
    assert blobs.size(digest) == 5
    assert blobs.has(digest)
    assert not blobs.has(NOWHERE)
    assert files(blobs) == [path]


def test_nothing_at_all_is_an_artifact_too(blobs: Blobs) -> None:
    digest = blobs.put_bytes(b"")
    assert blobs.read_verified(digest) == b""
    assert blobs.size(digest) == 0


def test_the_same_content_is_stored_once(blobs: Blobs) -> None:
    digest = blobs.put_bytes(b"hello")
    before = blobs.path(digest).stat()
    assert blobs.put_bytes(b"hello") == digest
    after = blobs.path(digest).stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    assert len(files(blobs)) == 1


def test_an_artifact_cannot_be_written_by_mistake(blobs: Blobs) -> None:
    assert blobs.path(blobs.put_bytes(b"hello")).stat().st_mode & 0o222 == 0


def test_asking_for_an_artifact_makes_no_folder(blobs: Blobs) -> None:
    assert not blobs.has(NOWHERE)
    assert not blobs.root.exists()


# ── files and folders ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, 3 * CHUNK_BYTES + 7])
def test_a_file_of_any_size(blobs: Blobs, tmp_path: Path, size: int) -> None:
    data = random.Random(size).randbytes(size)
    (tmp_path / "file").write_bytes(data)
    digest = blobs.put_file(tmp_path / "file")
    assert digest == blobs.put_bytes(data) == hashlib.sha256(data).hexdigest()
    blobs.verify(digest)
    assert blobs.put_file(tmp_path / "file") == digest
    assert len(files(blobs)) == 1


def grow(folder: Path, *, other_way: bool = False) -> Path:
    """Make a folder of many kinds, in one order or the other."""
    names = ["b.txt", "a.txt", "ä.txt", "with space", "x" * 150]
    folder.mkdir()
    for name in reversed(names) if other_way else names:
        (folder / name).write_text(f"in {name}")
    (folder / "sub" / "empty").mkdir(parents=True)
    (folder / "sub" / "run.sh").write_text("true")
    (folder / "sub" / "run.sh").chmod(0o750 if other_way else 0o711)
    (folder / "link").symlink_to("a.txt")
    (folder / "sub" / "up").symlink_to("../b.txt")
    if other_way:
        os.utime(folder / "a.txt", (1, 1))
    return folder


def test_a_folder_is_known_by_what_is_in_it(blobs: Blobs, tmp_path: Path) -> None:
    digest = blobs.put_file(grow(tmp_path / "one"))
    assert blobs.put_file(grow(tmp_path / "other", other_way=True)) == digest
    assert len(files(blobs)) == 1
    (tmp_path / "one" / "a.txt").write_text("changed")
    assert blobs.put_file(tmp_path / "one") != digest


def test_a_folder_comes_back_as_it_was(blobs: Blobs, tmp_path: Path) -> None:
    digest = blobs.put_file(grow(tmp_path / "one"))
    back = tmp_path / "deep" / "back"
    blobs.unpack(digest, back)
    assert blobs.put_file(back) == digest
    assert (back / "ä.txt").read_text() == "in ä.txt"
    assert (back / "link").is_symlink()
    assert (back / "sub" / "run.sh").stat().st_mode & 0o100
    assert (back / "sub" / "empty").is_dir()


def test_hard_links_make_no_difference(blobs: Blobs, tmp_path: Path) -> None:
    for folder, twin in (("linked", True), ("copied", False)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a").write_text("same")
        if twin:
            os.link(tmp_path / folder / "a", tmp_path / folder / "b")
        else:
            (tmp_path / folder / "b").write_text("same")
    assert blobs.put_file(tmp_path / "linked") == blobs.put_file(tmp_path / "copied")


def test_an_empty_folder(blobs: Blobs, tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    digest = blobs.put_file(tmp_path / "none")
    blobs.unpack(digest, tmp_path / "back")
    assert list((tmp_path / "back").iterdir()) == []


def test_what_is_no_folder_is_not_unpacked(blobs: Blobs, tmp_path: Path) -> None:
    digest = blobs.put_bytes(b"no tar file" * 100)
    with pytest.raises(InvalidInput, match="cannot be unpacked"):
        blobs.unpack(digest, tmp_path / "back")


def test_nothing_is_unpacked_outside(blobs: Blobs, tmp_path: Path) -> None:
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "link").symlink_to("/etc")
    digest = blobs.put_file(tmp_path / "bad")
    with pytest.raises(InvalidInput, match="cannot be unpacked"):
        blobs.unpack(digest, tmp_path / "back")


names = st.text(
    st.characters(blacklist_categories=["Cs"], blacklist_characters="/\0"), min_size=1, max_size=8
).filter(lambda name: name not in {".", ".."})


@given(content=st.dictionaries(names, st.binary(max_size=50), max_size=5))
def test_any_names_and_contents(
    tmp_path_factory: pytest.TempPathFactory, content: dict[str, bytes]
) -> None:
    place = tmp_path_factory.mktemp("any")
    (place / "one").mkdir()
    for name, data in content.items():
        (place / "one" / name).write_bytes(data)
    blobs = Blobs(place)
    digest = blobs.put_file(place / "one")
    blobs.unpack(digest, place / "back")
    assert {path.name: path.read_bytes() for path in (place / "back").iterdir()} == content
    assert blobs.put_file(place / "back") == digest


# ── what goes wrong ───────────────────────────────────────────────────────────────────────────────


def test_an_artifact_that_is_not_there(blobs: Blobs, tmp_path: Path) -> None:
    for act in (blobs.read, blobs.read_verified, blobs.open, blobs.size, blobs.verify):
        with pytest.raises(NotFound, match=NOWHERE):
            act(NOWHERE)
    with pytest.raises(NotFound, match=NOWHERE):
        blobs.unpack(NOWHERE, tmp_path / "back")
    with pytest.raises(NotFound, match="no such file"):
        blobs.put_file(tmp_path / "none")


@pytest.mark.parametrize("digest", ["", "abc", "../../etc/passwd", "A" * 64, "0" * 64 + "\n"])
def test_what_is_no_digest_is_no_path(blobs: Blobs, digest: str) -> None:
    with pytest.raises(InvalidInput, match="is no digest"):
        blobs.path(digest)


def damage(blobs: Blobs, digest: str, data: bytes) -> None:
    blobs.path(digest).chmod(0o644)
    blobs.path(digest).write_bytes(data)


def test_damage_is_named(blobs: Blobs) -> None:
    digest = blobs.put_bytes(b"hello")
    damage(blobs, digest, b"hullo")
    assert blobs.read(digest) == b"hullo"  # reading alone does not compare
    for act in (blobs.read_verified, blobs.verify):
        with pytest.raises(Unavailable, match="damaged: its 5 bytes") as caught:
            act(digest)
        assert caught.value.where == str(blobs.path(digest))


def test_what_was_cut_off_is_put_again(blobs: Blobs) -> None:
    digest = blobs.put_bytes(b"hello")
    damage(blobs, digest, b"")
    assert blobs.put_bytes(b"hello") == digest
    assert blobs.read_verified(digest) == b"hello"


def test_what_cannot_be_stored(blobs: Blobs, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InvalidInput, match="neither a file nor a folder"):
        blobs.put_file(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "folder" / "pipe")
    with pytest.raises(InvalidInput, match="no file, folder or link") as caught:
        blobs.put_file(tmp_path / "folder")
    assert caught.value.where.endswith("pipe")
    assert files(blobs) == []


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "artifacts").touch()
    blobs = Blobs(tmp_path)
    with pytest.raises(Unavailable, match="could not be read or written"):
        blobs.put_bytes(b"hello")


def test_a_disk_that_fills_up_leaves_nothing(blobs: Blobs, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(Unavailable, match="No space left"):
        blobs.put_bytes(b"hello")
    monkeypatch.undo()
    assert files(blobs) == []
    assert blobs.put_bytes(b"hello")


KILLED = """
import os, signal, sys
from pathlib import Path
from makeway.store.blobs import Blobs
os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)
Blobs(Path(sys.argv[1])).put_bytes(b"hello")
"""


def test_kill_9_leaves_no_half_artifact(blobs: Blobs, tmp_path: Path) -> None:
    place = str(tmp_path / ".makeway")
    ran = subprocess.run([sys.executable, "-c", KILLED, place], check=False)
    assert ran.returncode == -signal.SIGKILL
    digest = hashlib.sha256(b"hello").hexdigest()
    assert not blobs.has(digest)
    assert blobs.put_bytes(b"hello") == digest
    assert blobs.read_verified(digest) == b"hello"


def test_many_put_the_same_at_once(blobs: Blobs) -> None:
    data = random.Random(0).randbytes(200_000)
    digests: list[str] = []
    start = threading.Barrier(8)

    def put() -> None:
        start.wait()
        digests.append(blobs.put_bytes(data))

    threads = [threading.Thread(target=put) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    [digest] = set(digests)
    assert len(digests) == 8
    assert blobs.read_verified(digest) == data
    assert files(blobs) == [blobs.path(digest)]


LIGHT = """
import sys
import makeway.store.blobs
ours = sorted(name for name in sys.modules if name.startswith("makeway"))
print(ours, sorted({"msgspec", "sqlite3", "sqlalchemy", "tarfile", "tempfile"} & set(sys.modules)))
"""


def test_a_worker_that_imports_it_imports_little_else() -> None:
    ran = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True, check=True)
    ours = [
        *("makeway", "makeway.errors", "makeway.store", "makeway.store.blobs"),
        *("makeway.store.depot", "makeway.store.held", "makeway.version"),
    ]
    assert ran.stdout == f"{ours} []\n"
