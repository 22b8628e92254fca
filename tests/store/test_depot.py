"""Artifacts in an object store: sent when they are made, fetched when they are not here, compared."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from makeway.errors import NotFound, Unavailable
from makeway.store.blobs import Blobs
from makeway.store.depot import Depot, note, noted

BUCKET = "artifacts"


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """Give the address of a server that plays S3."""
    pytest.importorskip("s3fs")
    server = pytest.importorskip("moto.server").ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(params=["file", pytest.param("s3", marks=pytest.mark.slow)])
def url(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Give an empty place in another file system, and in S3."""
    if request.param == "file":
        return f"file://{tmp_path}/archive"
    for name, value in {
        "AWS_ENDPOINT_URL": request.getfixturevalue("s3"), "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    from s3fs import S3FileSystem

    S3FileSystem.clear_instance_cache()
    S3FileSystem().makedirs(BUCKET, exist_ok=True)
    return f"s3://{BUCKET}/{tmp_path.name}"


@pytest.fixture
def blobs(tmp_path: Path, url: str) -> Blobs:
    folder = tmp_path / "store"
    folder.mkdir()
    note(folder, url)
    return Blobs(folder)


def test_what_is_not_here_any_more_is_fetched_and_is_what_it_was(blobs: Blobs) -> None:
    digest = blobs.put_bytes(b"weights")
    blobs.path(digest).unlink()
    assert blobs.has(digest)
    assert blobs.read_verified(digest) == b"weights"
    assert blobs.path(digest).is_file()


def test_another_store_finds_the_same_artifacts(blobs: Blobs, url: str, tmp_path: Path) -> None:
    digest = blobs.put_bytes(b"weights")
    other = tmp_path / "other"
    other.mkdir()
    note(other, url)
    assert Blobs(other).read(digest) == b"weights"


def test_what_is_damaged_there_is_refused_and_not_kept(blobs: Blobs, url: str) -> None:
    digest = blobs.put_bytes(b"weights")
    blobs.path(digest).unlink()
    depot = Depot(url)
    with depot._files.open(depot._place(digest), "wb") as file:
        file.write(b"others!")
    with pytest.raises(Unavailable, match="damaged"):
        blobs.read(digest)
    assert not blobs.path(digest).exists()
    assert not [*blobs.root.glob(".new-*")]


def test_what_was_here_before_there_was_an_object_store_is_sent_when_it_is_put_again(
    blobs: Blobs, url: str
) -> None:
    note(blobs.root.parent, "")
    plain = Blobs(blobs.root.parent)
    digest = plain.put_bytes(b"older")
    assert not Depot(url).has(digest)
    note(blobs.root.parent, url)
    blobs.put_bytes(b"older")
    assert Depot(url).has(digest)


def test_how_far_it_is_is_told_and_what_is_there_is_not_sent_again(
    url: str, tmp_path: Path
) -> None:
    file = tmp_path / "large"
    file.write_bytes(bytes(9 << 20))
    told: list[tuple[str, int, int]] = []
    depot = Depot(url, lambda *said: told.append(said))
    depot.send("0" * 64, file)
    assert [(done, size) for _, done, size in told] == [(n << 20, 9 << 20) for n in (4, 8, 9)]
    depot.send("0" * 64, file)
    assert len(told) == 3


def test_what_is_nowhere_is_not_found(blobs: Blobs) -> None:
    assert not blobs.has("0" * 64)
    with pytest.raises(NotFound):
        blobs.read("0" * 64)


def test_a_place_that_nothing_knows_is_told_with_its_url(tmp_path: Path) -> None:
    note(tmp_path, "nowhere://bucket")
    assert noted(tmp_path) == "nowhere://bucket"
    with pytest.raises(Unavailable, match="cannot be used"):
        Blobs(tmp_path).put_bytes(b"weights")
