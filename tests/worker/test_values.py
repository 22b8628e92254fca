"""Store values and get them back: exactly, type by type, and the same value at the same address."""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
import threading
from collections import Counter, OrderedDict, defaultdict, deque
from enum import Enum, IntEnum, StrEnum
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from makeway.errors import InvalidInput, Unavailable
from makeway.model.record import Output
from makeway.store.blobs import Blobs
from makeway.worker import tagged
from makeway.worker.artifact import File, Model
from makeway.worker.values import decode, encode
from tests.project import Project


class Color(Enum):
    RED = 1


class Level(IntEnum):
    LOW = 1


class Word(StrEnum):
    YES = "yes"


class Point(NamedTuple):
    x: int
    y: int


class Named(dict[str, int]):
    pass


class Stubborn:
    def __reduce__(self) -> str:
        raise RuntimeError("I stay here")


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return Blobs(tmp_path / "store")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give one store to all examples that hypothesis makes."""
    return tmp_path_factory.mktemp("store")


def there_and_back(value: object, store: Path) -> Any:
    return decode(encode(value, Blobs(store)), store)


def same(one: object, other: object) -> bool:
    """Compare values type by type; a number that is none is equal to another one."""
    if type(one) is not type(other):
        return False
    match one, other:
        case float(), float():
            return repr(one) == repr(other)
        case complex(), complex():
            return repr(one) == repr(other)
        case ((list() | tuple()), (list() | tuple())):
            return len(one) == len(other) and all(map(same, one, other))
        case dict(), dict():
            return same(list(one.items()), list(other.items()))
        case ((set() | frozenset()), (set() | frozenset())):
            return sorted(map(tagged.write, one)) == sorted(map(tagged.write, other))
        case _:
            return one == other


# ── Python's own values ─────────────────────────────────────────────────────────────────────────────

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)  # fmt: skip

KEYS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary(),
    lambda inner: st.tuples(inner, inner) | st.frozensets(inner, max_size=3),
    max_leaves=4,
)
PYTHON = st.recursive(
    KEYS | st.floats() | st.complex_numbers() | st.text(st.characters(codec=None)),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(KEYS, inner)
    | st.sets(KEYS) | st.frozensets(KEYS) | st.dictionaries(st.just("~") | st.text(), inner),
    max_leaves=10,
)  # fmt: skip


@given(JSON)
def test_plain_values_are_kept_as_json(shared: Path, value: object) -> None:
    output = encode(value, Blobs(shared))
    assert output.codec == "json"
    assert same(decode(output, shared), value)
    assert same(json.loads(Blobs(shared).read(output.digest)), value)
    assert output.size_bytes == Blobs(shared).size(output.digest)


@given(PYTHON)
def test_every_value_of_pythons_own_types_comes_back_as_it_was(shared: Path, value: object) -> None:
    output = encode(value, Blobs(shared))
    assert output.codec in ("json", "json-tagged")
    back = decode(output, shared)
    assert same(back, value)
    assert encode(back, Blobs(shared)).digest == output.digest


EXACT: list[Any] = [
    math.nan, math.inf, -math.inf, -0.0, 5e-324, 2**64, -(2**63) - 1, 10**400, -(10**5000), True,
    (), (1, (2, [3])), set(), {1, "a", None}, frozenset({(1, 2)}), b"", b"\xff" * 100, 1j,
    {1: 2}, {"1": 1, 1: 2}, {None: 1}, {(1, 2): [3]}, {"~": 1}, {"~": "set", "of": [1]}, "\ud800",
    {"\ud800": 1}, "\x00", "a" * 100_000, {"x y": {"": {}}},
    Color.RED, Level.LOW, Word.YES, Point(1, 2), [Point(1, 2)], Named(a=1), OrderedDict(b=1, a=2),
    Counter("aab"), defaultdict(list, {"a": [1]}), deque([1, 2]), range(3), bytearray(b"a"),
    b"\xff" * 2_000_000, len, Path("a/b"), re.compile("a+"), Point, ValueError, ...,
    [(i, str(i)) for i in range(60_000)],
]  # fmt: skip


@pytest.mark.parametrize("value", EXACT, ids=range(len(EXACT)))
def test_a_value_comes_back_with_its_type(blobs: Blobs, value: object) -> None:
    back = there_and_back(value, blobs.root.parent)
    assert type(back) is type(value)
    assert back == value or value != value  # noqa: PLR0124 - a number that is none
    assert encode(back, blobs).digest == encode(value, blobs).digest


@pytest.mark.parametrize(
    "value, codec",
    [
        ({"a": [1]}, "json"), ((1, 2), "json-tagged"), (Level.LOW, "pickle"), (Named(), "pickle"),
        (Word.YES, "pickle"), ([(i, i) for i in range(60_000)], "pickle"), (2**64, "json-tagged"),
    ],
)  # fmt: skip
def test_what_is_not_exactly_json_is_kept_otherwise(
    blobs: Blobs, value: object, codec: str
) -> None:
    assert encode(value, blobs).codec == codec


def test_a_list_that_contains_itself_comes_back_so(blobs: Blobs) -> None:
    loop: list[object] = [1]
    loop.append(loop)
    back = there_and_back(loop, blobs.root.parent)
    assert back[1] is back


def test_a_set_has_the_same_address_in_every_process(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from makeway.store.blobs import Blobs;"
        "from makeway.worker.values import encode;"
        "print(encode({'a', 'b', 'c', ('d', frozenset('efg'))}, Blobs(Path(sys.argv[1]))).digest)"
    )
    digests = set()
    for seed in ("1", "2", "3"):
        done = subprocess.run(
            [sys.executable, "-c", program, str(tmp_path)],
            env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True,
        )  # fmt: skip
        digests.add(done.stdout)
    assert len(digests) == 1


@pytest.mark.parametrize(
    "value, why, hint",
    [
        (lambda: 1, "a value of type function cannot be stored", "only functions and classes"),
        ((item for item in "ab"), "a value of type generator cannot be stored", "return a list"),
        (threading.Lock(), "a value of type lock cannot be stored", "return plain values"),
        (sys, "a value of type module cannot be stored", "return plain values"),
        (Stubborn(), "a value of type Stubborn cannot be stored: I stay here", "return plain"),
        ([lambda: 1], "a value of type list cannot be stored", "return plain values"),
        (Stubborn.__reduce__.__get__(Stubborn()), "cannot be stored", "functions"),
    ],
)
def test_what_cannot_be_stored_is_told_with_its_type(
    blobs: Blobs, value: object, why: str, hint: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        encode(value, blobs)
    assert why in caught.value.problem
    assert hint in caught.value.hint


def test_an_object_of_a_class_in_the_flow_file_comes_back(project: Project) -> None:
    text = """
        import dataclasses
        import makeway as mw

        @dataclasses.dataclass(frozen=True)
        class Settings:
            rate: float
            layers: tuple

        @mw.step
        def train(settings): ...

        @mw.workflow
        def main():
            train(Settings(0.1, (1, 2)))
            train(Settings(0.1, (1, 2)))
    """
    first, second = (step.arguments["settings"] for step in project.build(text).steps)
    assert first == second
    flow = sys.modules["flow"]
    assert decode(first.output, project.store) == flow.Settings(0.1, (1, 2))  # type: ignore[union-attr]  # stored


def test_a_codec_of_a_later_makeway_is_named(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="cannot read what was stored as parquet"):
        decode(Output(digest="0" * 64, codec="parquet", size_bytes=1), tmp_path)


def test_only_small_values_are_written_with_tags() -> None:
    assert tagged.suits((1,) * (tagged.ITEMS_MAX - 1))
    assert not tagged.suits((1,) * tagged.ITEMS_MAX)
    assert not tagged.suits([object()])


# ── models ──────────────────────────────────────────────────────────────────────────────────────────


def test_a_model_comes_back_with_name_metrics_and_content(blobs: Blobs) -> None:
    back = there_and_back(Model("cnn", {"accuracy": 0.9}, value={"w": [1]}), blobs.root.parent)
    assert isinstance(back, Model)
    assert (back.name, back.metrics, back.load()) == ("cnn", {"accuracy": 0.9}, {"w": [1]})
    assert repr(back) == "Model('cnn', accuracy=0.9)"


def test_a_stored_model_is_passed_on_as_it_is(blobs: Blobs) -> None:
    output = encode(Model("cnn", value=(1, 2)), blobs)
    assert encode(decode(output, blobs.root.parent), blobs) == output


def test_a_model_of_a_model_holds_what_the_inner_one_holds(blobs: Blobs) -> None:
    inner = Model("inner", value=3)
    assert Model("outer", value=inner).load() == 3
    stored = there_and_back(inner, blobs.root.parent)
    back = there_and_back(Model("outer", {"m": 1}, value=stored), blobs.root.parent)
    assert (back.name, back.metrics, back.load()) == ("outer", {"m": 1.0}, 3)


def test_metrics_of_a_model_are_numbers(blobs: Blobs) -> None:
    assert Model("m", {"a": True, "b": 3}).metrics == {"a": 1.0, "b": 3.0}
    for wrong in ("high", None, [1, 2], b"1", object(), 10**400):
        with pytest.raises(InvalidInput, match="which is not a number"):
            Model("m", {"accuracy": wrong})  # type: ignore[dict-item]  # the mistake
    for name in ("", "n" * 251, 3):
        with pytest.raises(InvalidInput, match="a name has 1 to 250 characters"):
            Model(name)  # type: ignore[arg-type]  # likewise


def test_a_metric_that_is_no_finite_number_is_not_written_down(blobs: Blobs) -> None:
    model = Model("m", {"loss": math.nan, "top": math.inf, "accuracy": 0.5}, value=1)
    assert encode(model, blobs).metrics == {"accuracy": 0.5}


def test_models_and_files_in_a_list_are_stored_on_their_own(
    blobs: Blobs, worker: Path, tmp_path: Path
) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("hello")
    value = [Model("a", {"m": 1}, value=(1, 2)), {"file": File(path)}]
    output = encode(value, blobs)
    path.unlink()
    model, rest = there_and_back(decode(output, blobs.root.parent), blobs.root.parent)
    assert (model.name, model.metrics, model.load()) == ("a", {"m": 1.0}, (1, 2))
    assert rest["file"].path.read_text() == "hello"
    assert rest["file"].name == "notes.txt"


# ── files ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the folder of the worker that reads."""
    folder = tmp_path / "worker"
    monkeypatch.setenv("MAKEWAY_DIR", str(folder))
    return folder


def test_a_file_comes_back_under_its_name(blobs: Blobs, worker: Path, tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_bytes(b"a,b\n")
    back = there_and_back(File(path), blobs.root.parent)
    assert back.path.read_bytes() == b"a,b\n"
    assert (back.name, back.path.suffix) == ("data.csv", ".csv")
    assert back.path.is_relative_to(worker)
    again = there_and_back(back, blobs.root.parent)
    assert again.path == back.path


def test_a_folder_comes_back_with_all_that_is_in_it(
    blobs: Blobs, worker: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "data"
    (folder / "deep" / "empty").mkdir(parents=True)
    (folder / "deep" / "a.txt").write_text("a")
    (folder / "run.sh").write_text("#!/bin/sh")
    (folder / "run.sh").chmod(0o755)
    (folder / "link").symlink_to("deep/a.txt")
    back = there_and_back(File(folder), blobs.root.parent)
    assert (back.path / "deep" / "empty").is_dir()
    assert (back.path / "link").read_text() == "a"
    assert (back.path / "link").is_symlink()
    assert os.access(back.path / "run.sh", os.X_OK)
    assert encode(back, blobs).digest == encode(File(folder), blobs).digest


def test_an_empty_folder_comes_back_as_one(blobs: Blobs, worker: Path, tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    back = there_and_back(File(tmp_path / "nothing"), blobs.root.parent)
    assert list(back.path.iterdir()) == []


@pytest.mark.parametrize("target", ["/etc/hostname", "../outside", "deep/../../outside"])
def test_a_link_that_leads_out_of_a_folder_is_refused(
    blobs: Blobs, tmp_path: Path, target: str
) -> None:
    (tmp_path / "outside").write_text("a")
    folder = tmp_path / "data"
    (folder / "deep").mkdir(parents=True)
    (folder / "link").symlink_to(target)
    with pytest.raises(InvalidInput, match="this link leads out of the folder") as caught:
        encode(File(folder), blobs)
    assert caught.value.where == str(folder / "link")


def test_a_file_that_is_not_there_is_refused(blobs: Blobs, tmp_path: Path) -> None:
    (tmp_path / "broken").symlink_to("nowhere")
    for name in ("missing", "broken"):
        with pytest.raises(InvalidInput, match="there is no such file") as caught:
            encode(File(tmp_path / name), blobs)
        assert caught.value.where == str(tmp_path / name)


def test_a_pipe_is_no_file(blobs: Blobs, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InvalidInput, match="neither a file nor a folder"):
        encode(File(tmp_path / "pipe"), blobs)


def test_a_folder_has_a_name_however_it_is_reached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data" / "deep").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "data")
    names = {path: File(path).name for path in (".", "deep/..", "..", "deep", "/", "deep/.")}
    assert names == {
        ".": "data", "deep/..": "data", "..": tmp_path.name, "deep": "deep", "/": "root",
        "deep/.": "deep",
    }  # fmt: skip


def test_a_name_that_is_not_unicode_is_kept_readable(blobs: Blobs, tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"caf\xe9.txt")
    path.write_text("a")
    assert encode(File(path), blobs).name == "caf\\udce9.txt"


def test_a_model_that_is_a_file_keeps_both_names(
    blobs: Blobs, worker: Path, tmp_path: Path
) -> None:
    path = tmp_path / "weights.bin"
    path.write_bytes(b"123")
    back = there_and_back(Model("cnn", value=File(path)), blobs.root.parent)
    assert back.name == "cnn"
    assert back.load().path.name == "weights.bin"
    assert back.load().path.read_bytes() == b"123"
