"""The typed artifacts that steps give each other: models and files."""

from __future__ import annotations

import contextlib
import os
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from makeway.errors import InvalidInput
from makeway.model.record import Output

NAME_MAX = 250


class Model:
    """A trained model: a name, its metrics, and what it takes to use it (see `load`)."""

    def __init__(
        self,
        name: str,
        metrics: Mapping[str, float] | None = None,
        *,
        value: object = None,
        output: Output | None = None,
        load: Callable[[], object] | None = None,
    ) -> None:
        """Hold a value in memory, or the address of one that is stored and how to read it."""
        self.name = named(name)
        self.metrics = {named(key): number(key, item) for key, item in (metrics or {}).items()}
        self.output = output
        self._value, self._load = value, load

    def load(self) -> Any:  # noqa: ANN401 - whatever it was given
        """Give back what `log_model` was given; of a model of a model, what is in the inner one."""
        value = self._value if self._load is None else self._load()
        return value.load() if isinstance(value, Model) else value

    def __repr__(self) -> str:
        numbers = ", ".join(f"{name}={value:.4g}" for name, value in self.metrics.items())
        return f"Model({self.name!r}{', ' if numbers else ''}{numbers})"


class File:
    """A file or a folder as an artifact; `path` is where it can be read."""

    def __init__(self, path: str | Path) -> None:
        """Name a file or folder that exists when the step ends."""
        self.path = Path(path)
        # Not of `Path("..")` or `Path(".")`, which are no names; a link keeps its own.
        self.name = Path(os.path.abspath(self.path)).name or "root"  # noqa: PTH100 - see above

    @classmethod
    def stored(cls, output: Output, content: Path) -> File:
        """Show a stored file under the name that it had."""
        folder = os.environ.get("MAKEWAY_DIR") or _elsewhere()
        place = Path(folder) / "inputs" / output.digest[:16]
        path = place / output.name
        if not path.exists():
            place.mkdir(parents=True, exist_ok=True)
            if output.codec == "folder":
                _unpack(content, path)
            else:
                path.unlink(missing_ok=True)  # a link to what has gone
                path.symlink_to(content)
        return cls(path)

    def __repr__(self) -> str:
        return f"File({str(self.path)!r})"


def named(name: object) -> str:
    """Take the name of a model, a metric or a parameter."""
    if not isinstance(name, str) or not 0 < len(name) <= NAME_MAX:
        raise InvalidInput(f"a name has 1 to {NAME_MAX} characters, this is {_short(name)}")
    return text(name)


def number(name: object, value: Any) -> float:  # noqa: ANN401 - so say its callers' users
    """Take a number of any kind that Python can make a float of: numpy's and torch's too."""
    if type(value) is float:
        return value
    if not isinstance(value, str | bytes):  # "3" is a mistake that float() would cover up
        with contextlib.suppress(Exception):  # the value's own code says no in its own way
            return float(value)
    raise InvalidInput(f"{str(name)[:60]} is {_short(value)}, which is not a number")


def _short(value: object) -> str:
    try:
        return repr(value)[:60]
    except Exception:  # noqa: BLE001 - likewise
        return f"a {type(value).__name__}"


def text(value: str) -> str:
    """Give text that can be written down: half of a pair is shown by its code."""
    return value if value.isascii() else value.encode("utf-8", "backslashreplace").decode()


@cache
def _elsewhere() -> str:
    """Give a process that is no worker a folder for the files that it reads."""
    return tempfile.mkdtemp(prefix="makeway-")


def _unpack(content: Path, path: Path) -> None:
    """Unpack a folder so that it is there as a whole or not at all."""
    fresh = Path(tempfile.mkdtemp(prefix=".new-", dir=path.parent))
    try:
        with tarfile.open(content) as tar:
            tar.extractall(fresh, filter="data")
        fresh.chmod(0o755)
        fresh.rename(path)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
