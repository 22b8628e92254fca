"""Store a value by its content, and give it back: one codec a kind of value.

json          None, bool, int, float, str, lists and dicts of them, exactly as they were
json-tagged   Python's other own values: tuples, sets, bytes, NaN, numbers beyond 64 bits, other keys
numpy         an array; numpy-dict: a dict of arrays (never of Python objects)
torch         tensors in dicts, lists and tuples, as state dicts are; read with weights_only
file, folder  `File`
pickle        anything else; only ever read inside the runs of the user who wrote it

The value decides, not the annotation. Models and files inside other values are stored on their own,
and the value refers to them. What none of the codecs can store is the step's mistake.

Holds:   decode(encode(value)) is the value, type by type · the same value has the same digest,
         except that pickle writes large sets, and objects that are shared in it, in its own order
"""

from __future__ import annotations

import io
import json
import pickle
import sys
import tarfile
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, cast

import msgspec
from msgspec.structs import replace

from makeway.errors import InvalidInput, MakewayError, Unavailable
from makeway.model.record import Output
from makeway.store.blobs import Blobs
from makeway.worker import tagged
from makeway.worker.artifact import File, Model, text
from makeway.workflows.bind import is_plain


def encode(value: object, blobs: Blobs) -> Output:
    """Store a value; the same value has the same address."""
    if isinstance(value, Model):
        return value.output if value.output is not None else encode_model(value, blobs)
    if isinstance(value, File):
        return _encode_file(value, blobs)
    try:
        codec, data = _written(value, blobs)
    except MakewayError:
        raise
    except Exception as error:
        what = f"a value of type {type(value).__name__} cannot be stored: {error}"
        raise InvalidInput(what, hint=_hint(value)) from error
    return _output(data, codec, blobs)


def _output(data: bytes, codec: str, blobs: Blobs) -> Output:
    return Output(
        digest=blobs.put_bytes(data), codec=codec, size_bytes=len(data), durability=blobs.durability
    )


def encode_model(model: Model, blobs: Blobs) -> Output:
    """Store what a model holds, under its name and with its metrics."""
    value = model.load()
    if isinstance(value, File):  # as a part of something, so that it keeps the name it has itself
        data = _write_pickle(value, blobs)
        output = _output(data, "pickle", blobs)
    else:
        output = encode(value, blobs)
    # JSON, in which an output is written down, has no word for the others.
    finite = {name: each for name, each in model.metrics.items() if abs(each) < float("inf")}
    return replace(output, kind="model", name=model.name, metrics=finite)


def decode(output: Output, store: Path) -> object:
    """Give the value back. Models and files are read when they are asked for."""
    if output.kind == "model":
        return stored_model(output, store)
    return read(output, store)


def stored_model(output: Output, store: Path) -> Model:
    """Show a stored model; its content is read when it is asked for."""
    load = partial(read, output, store)
    return Model(output.name, output.metrics, output=output, load=load)


def read(output: Output, store: Path) -> object:
    """Read the content behind an address."""
    blobs = Blobs(store)
    if output.codec in ("file", "folder"):
        return File.stored(output, blobs.path(output.digest))
    if output.codec == "pickle":
        return _Unpickler(io.BytesIO(blobs.read(output.digest)), store).load()
    if output.codec not in READERS:
        problem = f"this makeway cannot read what was stored as {output.codec}"
        raise Unavailable(problem, where=output.digest, hint="use the makeway that stored it")
    return READERS[output.codec](blobs.read(output.digest))


def _written(value: object, blobs: Blobs) -> tuple[str, bytes]:
    for codec, suits, write in CODECS:
        if suits(value):
            return codec, write(value)
    return "pickle", _write_pickle(value, blobs)


def _hint(value: object) -> str:
    if hasattr(value, "__next__"):
        return "return a list of what it gives"
    if callable(value) and hasattr(value, "__qualname__"):
        return "only functions and classes at the top level of a file can be stored"
    return "return plain values, arrays, tensors, or objects that pickle can store"


# ── files ───────────────────────────────────────────────────────────────────────────────────────────


def _encode_file(file: File, blobs: Blobs) -> Output:
    path = file.path
    if not path.exists():
        raise InvalidInput("there is no such file", where=str(path))
    if path.is_dir():
        _stay_inside(path)
    digest = blobs.put_file(path)
    codec = "folder" if path.is_dir() else "file"
    return Output(
        digest=digest, codec=codec, size_bytes=blobs.size(digest), name=text(file.name),
        durability=blobs.durability,
    )  # fmt: skip


def _stay_inside(folder: Path) -> None:
    """Refuse a link out of a folder: elsewhere, and later, it leads nowhere or somewhere else."""
    root = folder.resolve()
    for path in folder.rglob("*"):
        if path.is_symlink() and (
            path.readlink().is_absolute() or not path.resolve().is_relative_to(root)
        ):
            problem = f"this link leads out of the folder, to {path.readlink()}"
            raise InvalidInput(problem, where=str(path), hint="put a copy in its place")


# ── arrays and tensors: their libraries are imported only if the value comes from them ──────────────


def _is_array(value: Any) -> bool:  # noqa: ANN401 - whatever there may be
    numpy = sys.modules.get("numpy")
    if numpy is None or type(value) is not numpy.ndarray:
        return False
    dtype = value.dtype
    if dtype.hasobject or dtype.isbuiltin == FOREIGN or dtype.metadata is not None:
        return False
    layout = numpy.lib.format
    return bool(layout.descr_to_dtype(layout.dtype_to_descr(dtype)) == dtype)


FOREIGN = 2  # numpy's number for a dtype of another library, which the .npy format does not keep


def _is_arrays(value: object) -> bool:
    return (
        type(value) is dict
        and bool(value)
        and all(type(key) is str and key.isidentifier() for key in value)
        and all(_is_array(item) for item in value.values())
    )


def _has_tensors(value: object) -> bool:
    """Say whether there are tensors, and nothing that `weights_only` would refuse to read."""
    torch = sys.modules.get("torch")
    if torch is None:
        return False
    kinds = (torch.Tensor, torch.nn.Parameter)
    found, todo, seen = False, [value], set[int]()
    while todo:
        thing: Any = todo.pop()
        kind = type(thing)
        if kind in kinds:
            found = True
        elif kind in (list, tuple, dict, OrderedDict):
            if id(thing) not in seen:
                seen.add(id(thing))
                todo += (*thing, *thing.values()) if isinstance(thing, dict) else thing
        elif thing is not None and kind not in (bool, int, float, str, bytes):
            return False
    return found


def _write_json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _write_array(value: object) -> bytes:
    import numpy as np

    buffer = io.BytesIO()
    np.save(buffer, value, allow_pickle=False)
    return buffer.getvalue()


def _write_arrays(value: object) -> bytes:
    """Write arrays one after the other in a tar without times: equal content, equal address."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, array in cast("dict[str, object]", value).items():
            data = _write_array(array)
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def _write_tensors(value: object) -> bytes:
    import torch

    buffer = io.BytesIO()
    torch.save(_compact(value), buffer)
    return buffer.getvalue()


def _compact(value: Any) -> Any:  # noqa: ANN401 - what `_has_tensors` has allowed
    """Copy a tensor that is a small part of a large one, all of which would be stored with it."""
    import torch

    if type(value) is torch.Tensor and value.layout is torch.strided:
        whole = value.untyped_storage().nbytes()
        return value.detach().clone() if whole > value.numel() * value.element_size() else value
    if type(value) in (list, tuple):
        return type(value)(_compact(item) for item in value)
    if type(value) is dict:
        return {key: _compact(item) for key, item in value.items()}
    return value  # an OrderedDict is a state dict, whose tensors are whole


def _read_array(data: bytes) -> object:
    import numpy as np

    return np.load(io.BytesIO(data), allow_pickle=False)


def _read_arrays(data: bytes) -> object:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        members = [(member.name, tar.extractfile(member)) for member in tar]
        return {name: _read_array(file.read()) for name, file in members if file is not None}


def _read_tensors(data: bytes) -> object:
    import torch

    return torch.load(io.BytesIO(data), weights_only=True, map_location="cpu")


# ── everything else ─────────────────────────────────────────────────────────────────────────────────


class _Pickler(pickle.Pickler):
    """Store models and files in a value on their own, and write where they are in their place."""

    def __init__(self, buffer: io.BytesIO, blobs: Blobs) -> None:
        super().__init__(buffer, protocol=5)
        self._blobs = blobs

    def persistent_id(self, obj: object) -> str | None:
        if isinstance(obj, File | Model):
            return msgspec.json.encode(encode(obj, self._blobs)).decode()
        return None


class _Unpickler(pickle.Unpickler):
    def __init__(self, buffer: io.BytesIO, store: Path) -> None:
        super().__init__(buffer)
        self._store = store

    def persistent_load(self, pid: str) -> object:
        return decode(msgspec.json.decode(pid, type=Output), self._store)


def _write_pickle(value: object, blobs: Blobs) -> bytes:
    buffer = io.BytesIO()
    _Pickler(buffer, blobs).dump(value)
    return buffer.getvalue()


CODECS: tuple[tuple[str, Callable[[object], bool], Callable[[object], bytes]], ...] = (
    ("json", is_plain, _write_json),
    ("json-tagged", tagged.suits, tagged.write),
    ("numpy", _is_array, _write_array),
    ("numpy-dict", _is_arrays, _write_arrays),
    ("torch", _has_tensors, _write_tensors),
)
READERS: dict[str, Callable[[bytes], object]] = {
    "json": json.loads,
    "json-tagged": tagged.read,
    "numpy": _read_array,
    "numpy-dict": _read_arrays,
    "torch": _read_tensors,
}
