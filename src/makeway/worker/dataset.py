"""Name data by what is in them, without holding up whoever trains on them.

    an artifact      the address that it has in the store, so that lineage leads to who made it
    its own digest   what the object says of itself: `digest`, or `_fingerprint` (Hugging Face)
    a file           SHA-256 of its content up to WHOLE_BYTES, as an artifact's; above, of its size,
                     its time of change, and its first and last ENDS_BYTES
    a folder         SHA-256 of the names, sizes and times of change in it; nothing is read
    pandas           SHA-256 of columns, types and the hashes of all rows; of a large frame, of its
                     shape and its first and last ROWS
    numpy, torch     SHA-256 of type, shape and content; of large ones, of the first and last bytes
    an address       SHA-256 of the text: `s3://…`, `https://…`; nothing is fetched
    plain values     SHA-256 of their text as it would be stored

Gives:   Described; `how` says which of these
Raises:  InvalidInput: there is no such file, or nothing here knows such an object
Cost:    at most about 0.1 s: 64 MiB to hash, or FILES_MAX files to list
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from makeway.errors import InvalidInput
from makeway.worker import tagged
from makeway.worker.artifact import File, Model

WHOLE_BYTES = 64 << 20
ENDS_BYTES = 1 << 20
ROWS = 10_000
FILES_MAX = 100_000
ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
STORED = re.compile(r"artifacts/([0-9a-f]{2})/([0-9a-f]{62})$")


class Described(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a data set; `where` is its path or address, if it has one."""

    name: str
    digest: str
    size_bytes: int
    how: str
    where: str = ""


def describe(dataset: Any) -> Described:  # noqa: ANN401 - whatever a program trains on
    """Say what a data set is; see the module."""
    match dataset:
        case Model():
            return _artifact(dataset.name, dataset.output, dataset.load)
        case File():
            return _path(dataset.path)
        case os.PathLike():
            return _path(Path(dataset))
        case str() if ADDRESS.match(dataset):
            name = dataset.rstrip("/").rpartition("/")[2] or dataset
            return _of(name, [dataset.encode("utf-8", "backslashreplace")], 0, "address", dataset)
        case str():
            return _path(Path(dataset))
        case bytes() | bytearray() | memoryview():
            return _of("bytes", _ends(memoryview(dataset).cast("B")), len(dataset), "content")
    return _own(dataset) or _frame(dataset) or _array(dataset) or _plain(dataset)


def _artifact(name: str, output: Any, load: Any) -> Described:  # noqa: ANN401 - of a Model
    if output is not None:
        return Described(
            name=name, digest=output.digest, size_bytes=output.size_bytes, how="artifact"
        )
    found = describe(load())
    return msgspec.structs.replace(found, name=name)


def _path(path: Path) -> Described:
    try:
        real = path.resolve(strict=True)
        status = real.stat()
    except (OSError, ValueError):
        raise InvalidInput(
            "there is no such data set", where=str(path),
            hint="give a path, an address (s3://…), or the data themselves",
        ) from None  # fmt: skip
    name = path.name or real.name or "root"
    stored = STORED.search(str(real))
    if stored is not None:
        digest = stored[1] + stored[2]
        return Described(
            name=name, digest=digest, size_bytes=status.st_size, how="artifact", where=str(path)
        )
    if real.is_dir():
        return _folder(real, name)
    if not real.is_file():
        raise InvalidInput("this is neither a file nor a folder", where=str(path))
    size = status.st_size
    if size <= WHOLE_BYTES:
        return _of(name, _blocks(real, 0, size), size, "content", str(real))
    head = [f"{size} {status.st_mtime_ns}".encode(), *_blocks(real, 0, ENDS_BYTES)]
    parts = [*head, *_blocks(real, size - ENDS_BYTES, size)]
    return _of(name, parts, size, "ends", str(real))


def _folder(folder: Path, name: str) -> Described:
    lines, total = [], 0
    for path in _listed(folder):
        status = path.lstat()
        total += status.st_size
        lines.append(f"{path.relative_to(folder)}\0{status.st_size}\0{status.st_mtime_ns}\n")
    data = "".join(sorted(lines)).encode("utf-8", "surrogateescape")
    return _of(name, [data], total, "listing", str(folder))


def _listed(folder: Path) -> Iterator[Path]:
    count = 0
    for root, _, files in os.walk(folder):
        for file in files:
            count += 1
            if count > FILES_MAX:
                raise InvalidInput(
                    f"more than {FILES_MAX:,} files are too many to list", where=str(folder),
                    hint="give a file that lists them, or an address",
                )  # fmt: skip
            yield Path(root, file)


def _blocks(path: Path, begin: int, end: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        file.seek(begin)
        while begin < end and (block := file.read(min(ENDS_BYTES, end - begin))):
            begin += len(block)
            yield block


def _own(dataset: Any) -> Described | None:  # noqa: ANN401 - see `describe`
    """Take what the object says of itself."""
    said = getattr(dataset, "digest", None) or getattr(dataset, "_fingerprint", None)
    if not isinstance(said, str) or not said:
        return None
    name = getattr(dataset, "name", None)
    label = name if isinstance(name, str) and name else type(dataset).__name__
    return Described(name=label, digest=said, size_bytes=0, how="its own digest")


def _frame(dataset: Any) -> Described | None:  # noqa: ANN401 - see `describe`
    pandas = sys.modules.get("pandas")
    if pandas is None or not isinstance(dataset, pandas.DataFrame | pandas.Series):
        return None
    size = (
        int(dataset.memory_usage(index=True, deep=False).sum())
        if dataset.ndim == 2
        else int(dataset.memory_usage(index=True))
    )
    whole = size <= WHOLE_BYTES
    rows = dataset if whole else pandas.concat([dataset.head(ROWS), dataset.tail(ROWS)])
    columns = list(dataset.columns) if dataset.ndim == 2 else [dataset.name]
    types = list(dataset.dtypes) if dataset.ndim == 2 else [dataset.dtype]
    try:
        hashes = pandas.util.hash_pandas_object(rows, index=True).to_numpy().tobytes()
    except TypeError:  # lists and dicts in its cells
        hashes = pandas.util.hash_pandas_object(rows.astype(str), index=True).to_numpy().tobytes()
    head = repr((dataset.shape, [str(one) for one in columns], [str(one) for one in types]))
    name = type(dataset).__name__
    return _of(name, [head.encode(), hashes], size, "content" if whole else "ends")


def _array(dataset: Any) -> Described | None:  # noqa: ANN401 - see `describe`
    numpy, torch = sys.modules.get("numpy"), sys.modules.get("torch")
    if torch is not None and isinstance(dataset, torch.Tensor):
        head = repr((str(dataset.dtype), tuple(dataset.shape)))
        flat = dataset.detach().reshape(-1)
        count = WHOLE_BYTES // max(1, dataset.element_size())
        if len(flat) > count:
            few = ENDS_BYTES // max(1, dataset.element_size())
            flat = torch.cat([flat[:few], flat[-few:]])
        data = bytes(flat.cpu().contiguous().view(torch.uint8).numpy().data) if len(flat) else b""
        size = dataset.numel() * dataset.element_size()
    elif numpy is not None and isinstance(dataset, numpy.ndarray):
        if dataset.dtype.hasobject:
            return None
        head, size = repr((str(dataset.dtype), dataset.shape)), int(dataset.nbytes)
        flat = dataset.reshape(-1)
        if size > WHOLE_BYTES:
            few = ENDS_BYTES // max(1, dataset.itemsize)
            flat = numpy.concatenate([flat[:few], flat[-few:]])
        data = flat.tobytes()
    else:
        return None
    how = "content" if size <= WHOLE_BYTES else "ends"
    return _of(type(dataset).__name__, [head.encode(), data], size, how)


def _plain(dataset: Any) -> Described:  # noqa: ANN401 - see `describe`
    if not tagged.suits(dataset):
        raise InvalidInput(
            f"nothing is known by which to tell one {type(dataset).__name__} from another",
            hint="give its path or address, or an object with a `digest`",
        )
    data = tagged.write(dataset)
    return _of(type(dataset).__name__, [data], len(data), "content")


def _ends(data: memoryview) -> list[bytes | memoryview]:
    if len(data) <= WHOLE_BYTES:
        return [data]
    return [str(len(data)).encode(), data[:ENDS_BYTES], data[-ENDS_BYTES:]]


def _of(name: str, parts: Any, size: int, how: str, where: str = "") -> Described:  # noqa: ANN401 - bytes of any kind
    hashed = hashlib.sha256()
    for part in parts:
        hashed.update(part)
    return Described(name=name, digest=hashed.hexdigest(), size_bytes=size, how=how, where=where)
