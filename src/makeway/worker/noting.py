"""Tell what is no number while the step runs: parameters, tags, inputs, artifacts.

Each is told at once, so that a search finds it before the end, and of an attempt that ends badly as
well. The same value told again is not sent again. Outside makeway nothing happens.

Takes:   names of 1 to 250 characters; values of any kind, kept as JSON has them, else as text of at
         most TEXT_CHARS
Raises:  InvalidInput: a name or a value is wrong; it says which
Cost:    as a metric; `log_input` and `log_artifact` read what they are given (see `dataset`)
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path

from msgspec.structs import replace

from makeway.errors import InvalidInput
from makeway.model.record import Output
from makeway.worker.artifact import File, named, text
from makeway.worker.recorder import INTEGERS, Recorder, current, pairs

TEXT_CHARS = 8_000
FILES_MAX = 10_000


def log_param(name: str, value: object) -> None:
    """Record a parameter of this step."""
    recorder = current()
    if recorder is not None:
        _param(recorder, name, value)


def log_params(values: Mapping[str, object]) -> None:
    """Record several parameters of this step."""
    recorder = current()
    if recorder is not None:
        for name, value in pairs(values):
            _param(recorder, name, value)


def set_tag(name: str, value: object) -> None:
    """Say a word about this step by which it can be found; the last value stays."""
    recorder = current()
    if recorder is not None:
        _tag(recorder, name, value)


def set_tags(values: Mapping[str, object]) -> None:
    """Say several words about this step."""
    recorder = current()
    if recorder is not None:
        for name, value in pairs(values):
            _tag(recorder, name, value)


def data_available(name: str, available: bool) -> None:  # noqa: FBT001 - this is the very question
    """Record whether data are there now, yes or no: the series `available/NAME`, 1 or 0."""
    recorder = current()
    if recorder is None:
        return
    if type(available).__name__ not in ("bool", "bool_") and available not in (0, 1):
        raise InvalidInput(f"whether {str(name)[:60]} is available is True or False")
    recorder.sample(named(f"available/{named(name)}"), 1.0 if available else 0.0)


def log_artifact(path: str | os.PathLike[str], name: str | None = None) -> None:
    """Keep a copy of a file or folder as an artifact of this step."""
    recorder = current()
    if recorder is not None:
        _artifact(recorder, Path(path), name)


def log_artifacts(folder: str | os.PathLike[str], prefix: str = "") -> None:
    """Keep each file below a folder as an artifact, under its path there."""
    recorder = current()
    if recorder is None:
        return
    root = Path(folder)
    if not root.is_dir():
        raise InvalidInput("this is no folder", where=str(root), hint="a file: log_artifact")
    files = sorted(path for path in root.rglob("*") if path.is_file())
    if len(files) > FILES_MAX:
        raise InvalidInput(
            f"{len(files):,} files are too many artifacts; {FILES_MAX:,} are the most",
            where=str(root), hint="keep the folder as one: log_artifact",
        )  # fmt: skip
    for path in files:
        _artifact(recorder, path, f"{prefix.rstrip('/')}/{path.relative_to(root)}".lstrip("/"))


def log_input(dataset: object, name: str | None = None, context: str = "training") -> None:
    """Record that this step reads a data set, and what is in it; see `dataset` for what may be given.

    `context` says for what: training, validation, testing.
    """
    recorder = current()
    if recorder is None:
        return
    from makeway.worker.dataset import describe

    found = describe(dataset)
    label = named(found.name if name is None else name)
    value = {
        "digest": found.digest,
        "size_bytes": found.size_bytes,
        "kind": "dataset",
        "context": text(str(context)[:TEXT_CHARS]),
        "how": found.how,
        "where": text(found.where[:TEXT_CHARS]),
    }
    recorder.note("input", label, value)


def tell_artifact(recorder: Recorder, output: Output) -> None:
    """Tell of an artifact that is stored."""
    recorder.artifacts.append(output)
    recorder.note(
        "model" if output.kind == "model" else "artifact",
        output.name,
        {
            "digest": output.digest,
            "size_bytes": output.size_bytes,
            "kind": output.kind,
            "codec": output.codec,
            "metrics": output.metrics,
        },
    )


def _artifact(recorder: Recorder, path: Path, name: str | None) -> None:
    from makeway.store.blobs import Blobs
    from makeway.worker.values import encode

    file = File(path)
    label = named(file.name if name is None else name)
    output = encode(file, Blobs(Path(os.environ["MAKEWAY_STORE"])))
    tell_artifact(recorder, replace(output, kind="artifact", name=label))


def _param(recorder: Recorder, name: object, value: object) -> None:
    key, plain = named(name), _plain(value)
    before = recorder.params.get(key, recorder)
    if type(before) is not type(plain) or before != plain:
        recorder.params[key] = plain
        recorder.note("param", key, plain)


def _tag(recorder: Recorder, name: object, value: object) -> None:
    key = named(name)
    said = value if isinstance(value, str) else _plain(value)
    recorder.note("tag", key, text(str(said)[:TEXT_CHARS]))


def _plain(value: object) -> object:
    """Give a parameter as JSON has it, or else its text."""
    if isinstance(value, bool) or value is None:
        return value
    try:
        if isinstance(value, int) and int(value) in INTEGERS:
            return int(value)
        if isinstance(value, float) and math.isfinite(value):
            return float(value)
        shown = str(value) if isinstance(value, str | int | float) else repr(value)
    except Exception:  # noqa: BLE001 - this runs the value's own code
        shown = f"<{type(value).__name__}>"
    return text(shown[:TEXT_CHARS])
