"""Store a value by its content, and give it back: one codec a kind of value.

    json          None, bool, int, float, str, lists and dicts of them, exactly as they were
    numpy         an array; numpy-dict: a dict of arrays (never of Python objects)
    torch         tensors in dicts and lists, as state dicts are; read with weights_only
    file, folder  `File`
    pickle        anything else; only ever read inside the runs of the user who wrote it

The value decides, not the annotation. What none of them can store is the step's mistake.
"""

from __future__ import annotations

import io
import json
import pickle
import sys
import tarfile
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from makeway.errors import InvalidInput
from makeway.model.record import Output
from makeway.store.blobs import Blobs
from makeway.worker.artifact import File, Model
from makeway.workflows.build import is_plain


def encode(value: object, blobs: Blobs) -> Output:
    """Store a value; the same value has the same address."""
    if isinstance(value, Model):
        return value.output if value.output is not None else encode_model(value, blobs)
    if isinstance(value, File):
        return _encode_file(value, blobs)
    for codec, suits, write in CODECS:
        if suits(value):
            data = write(value)
            return Output(digest=blobs.put_bytes(data), codec=codec, size_bytes=len(data))
    try:
        data = pickle.dumps(value, protocol=5)
    except Exception as error:
        what = f"a value of type {type(value).__name__} cannot be stored: {error}"
        raise InvalidInput(what) from error
    return Output(digest=blobs.put_bytes(data), codec="pickle", size_bytes=len(data))


def encode_model(model: Model, blobs: Blobs) -> Output:
    """Store what a model holds, under its name and with its metrics."""
    output = encode(model.load(), blobs)
    return replace(output, kind="model", name=model.name, metrics=dict(model.metrics))


def decode(output: Output, store: Path) -> object:
    """Give the value back. Models and files are read when they are asked for."""
    if output.kind == "model":
        return Model(output.name, output.metrics, output=output, store=store)
    return read(output, store)


def read(output: Output, store: Path) -> object:
    """Read the content behind an address."""
    blobs = Blobs(store)
    if output.codec in ("file", "folder"):
        return File.stored(output, blobs.path(output.digest))
    return READERS[output.codec](blobs.read(output.digest))


def _encode_file(file: File, blobs: Blobs) -> Output:
    path = file.path
    if not path.exists():
        raise InvalidInput("there is no such file", where=str(path))
    digest = blobs.put_file(path)
    codec = "folder" if path.is_dir() else "file"
    return Output(
        digest=digest, codec=codec, size_bytes=blobs.path(digest).stat().st_size, name=path.name
    )


def _is_array(value: object) -> bool:
    numpy = sys.modules.get("numpy")
    return numpy is not None and type(value) is numpy.ndarray and value.dtype != object


def _is_arrays(value: object) -> bool:
    return (
        isinstance(value, dict)
        and bool(value)
        and all(isinstance(key, str) and key.isidentifier() for key in value)
        and all(_is_array(item) for item in value.values())
    )


def _has_tensors(value: object) -> bool:
    torch = sys.modules.get("torch")
    if torch is None:
        return False
    if isinstance(value, torch.Tensor):
        return True
    if isinstance(value, dict):
        return all(isinstance(key, str | int) for key in value) and any(
            _has_tensors(item) for item in value.values()
        )
    return isinstance(value, list | tuple) and any(_has_tensors(item) for item in value)


def _write_json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _write_array(value: Any) -> bytes:
    import numpy as np

    buffer = io.BytesIO()
    np.save(buffer, value, allow_pickle=False)
    return buffer.getvalue()


def _write_arrays(value: Any) -> bytes:
    """Write arrays one after the other in a tar without times: equal content, equal address."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, array in value.items():
            data = _write_array(array)
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def _write_tensors(value: object) -> bytes:
    import torch

    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


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


CODECS = (
    ("json", is_plain, _write_json),
    ("numpy", _is_array, _write_array),
    ("numpy-dict", _is_arrays, _write_arrays),
    ("torch", _has_tensors, _write_tensors),
)
READERS = {
    "json": json.loads,
    "numpy": _read_array,
    "numpy-dict": _read_arrays,
    "torch": _read_tensors,
    "pickle": pickle.loads,
}
