"""Name data by their content: the same data have the same name, and other data another one."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path
from typing import Any

import pytest

import makeway as mw
from makeway.errors import InvalidInput
from makeway.store.blobs import Blobs
from makeway.worker import dataset
from makeway.worker.dataset import describe
from makeway.worker.values import encode
from tests.worker.listening import Agent


def test_a_file_has_the_digest_of_its_content_as_in_the_store(tmp_path: Path) -> None:
    file = tmp_path / "images.bin"
    file.write_bytes(b"pixels")
    found = describe(str(file))
    assert found.digest == hashlib.sha256(b"pixels").hexdigest()
    assert found.digest == encode(mw.File(file), Blobs(tmp_path / "store")).digest
    assert (found.name, found.size_bytes, found.how) == ("images.bin", 6, "content")


def test_an_artifact_of_the_store_keeps_its_address(tmp_path: Path) -> None:
    file = tmp_path / "images.bin"
    file.write_bytes(b"pixels")
    blobs = Blobs(tmp_path / "store")
    output = encode(mw.File(file), blobs)
    stored = mw.File.stored(output, blobs.path(output.digest))
    assert (describe(stored).digest, describe(stored).how) == (output.digest, "artifact")


def test_a_large_file_is_told_apart_by_its_ends_its_size_and_its_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dataset, "WHOLE_BYTES", 100)
    monkeypatch.setattr(dataset, "ENDS_BYTES", 10)
    file = tmp_path / "large"
    seen = set()
    for begin, end, size, at_ns in [
        (b"a", b"a", 200, 1), (b"b", b"a", 200, 1), (b"a", b"b", 200, 1), (b"a", b"a", 201, 1),
        (b"a", b"a", 200, 2),
    ]:  # fmt: skip
        file.write_bytes(begin.ljust(size - 1, b"-") + end)
        os.utime(file, ns=(at_ns, at_ns))
        found = describe(file)
        assert found.how == "ends"
        seen.add(found.digest)
    assert len(seen) == 5


def test_a_huge_file_takes_no_time(tmp_path: Path) -> None:
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(1 << 40)  # a terabyte, of holes
    begun = time.process_time()
    assert describe(tmp_path / "huge").size_bytes == 1 << 40
    assert time.process_time() - begun < 0.5


def test_a_folder_is_told_apart_by_the_names_sizes_and_times_in_it(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "a").write_text("1")
    first = describe(folder)
    assert describe(folder) == first
    (folder / "b").write_text("")
    assert describe(folder).digest != first.digest


@pytest.mark.parametrize(
    "one, other",
    [
        ("s3://bucket/a", "s3://bucket/b"),
        (b"a", b"b"),
        ([1, 2], [2, 1]),
        ({"a": 1}, {"a": 1.0}),
    ],
)
def test_other_data_have_another_digest(one: Any, other: Any) -> None:
    assert describe(one).digest == describe(one).digest != describe(other).digest


def test_arrays_and_tensors_are_told_apart_by_type_shape_and_content() -> None:
    np = pytest.importorskip("numpy", reason="no numpy here")
    torch = pytest.importorskip("torch", reason="no torch here")
    different = [
        np.zeros(6), np.zeros((2, 3)), np.zeros(6, dtype="float32"), np.ones(6), np.zeros(0),
        torch.zeros(6), torch.zeros(2, 3), torch.zeros(6, dtype=torch.bfloat16),
    ]  # fmt: skip
    assert len({describe(one).digest for one in different}) == len(different)
    large = np.zeros(20 << 20, dtype="float32")
    before = describe(large)
    large[-1] = 1
    assert (before.how, describe(large).digest == before.digest) == ("ends", False)


def test_frames_are_told_apart_by_columns_and_rows() -> None:
    pd = pytest.importorskip("pandas", reason="no pandas here")
    frames = [
        pd.DataFrame({"a": [1, 2]}), pd.DataFrame({"b": [1, 2]}), pd.DataFrame({"a": [2, 1]}),
        pd.DataFrame({"a": [1.0, 2.0]}), pd.Series([1, 2], name="a"), pd.DataFrame(),
        pd.DataFrame({"a": [[1], {"b": 2}]}),
    ]  # fmt: skip
    assert len({describe(one).digest for one in frames}) == len(frames)


def test_an_object_that_has_a_digest_of_its_own_is_believed() -> None:
    class Images:
        digest, name = "abc", "faces"

    found = describe(Images())
    assert (found.name, found.digest, found.how) == ("faces", "abc", "its own digest")


@pytest.mark.parametrize("wrong", ["no/such/file", Path("nowhere"), "a\0b", object(), lambda: 1])
def test_what_cannot_be_told_apart_is_refused(wrong: Any) -> None:
    with pytest.raises(InvalidInput):
        describe(wrong)


def test_an_input_is_told_with_what_it_is_for(agent: Agent, tmp_path: Path) -> None:
    (tmp_path / "images.bin").write_bytes(b"pixels")
    mw.log_input(tmp_path / "images.bin", context="validation")
    mw.log_input("https://example.org/faces.tar", name="faces")
    (first, second) = agent.notes(2)
    assert first[:2] == ("input", "images.bin")
    assert second[:2] == ("input", "faces")
    assert isinstance(first[2], dict)
    assert (first[2]["context"], first[2]["kind"]) == ("validation", "dataset")
