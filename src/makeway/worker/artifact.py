"""The typed artifacts that steps give each other: models and files."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from makeway.model.record import Output


class Model:
    """A trained model: a name, its metrics, and what it takes to use it (see `load`)."""

    def __init__(
        self,
        name: str,
        metrics: Mapping[str, float] | None = None,
        *,
        value: object = None,
        output: Output | None = None,
        store: Path | None = None,
    ) -> None:
        """Hold a value in memory, or the address of one that is stored."""
        self.name, self.metrics = name, dict(metrics or {})
        self.output = output
        self._value, self._store = value, store

    def load(self) -> Any:  # noqa: ANN401 - whatever was kept
        """Give back what `log_model` was given."""
        if self.output is None:
            return self._value
        from makeway.worker.values import read

        return read(self.output, self._store or Path(os.environ["MAKEWAY_STORE"]))

    def __getstate__(self) -> dict[str, object]:
        value = self._value if self.output is None else None
        return {**self.__dict__, "_value": value}

    def __repr__(self) -> str:
        numbers = ", ".join(f"{name}={value:.4g}" for name, value in self.metrics.items())
        return f"Model({self.name!r}{', ' if numbers else ''}{numbers})"


class File:
    """A file or a folder as an artifact; `path` is where it can be read."""

    def __init__(self, path: str | Path) -> None:
        """Name a file or folder that exists when the step ends."""
        self.path = Path(path)
        self.name = self.path.name

    @classmethod
    def stored(cls, output: Output, content: Path) -> File:
        """Show a stored file under the name that it had."""
        place = Path(os.environ.get("MAKEWAY_DIR", ".")) / "inputs" / output.digest[:16]
        path = place / output.name
        if not path.exists():
            place.mkdir(parents=True, exist_ok=True)
            if output.codec == "folder":
                with tarfile.open(content) as tar:
                    tar.extractall(path, filter="data")
            else:
                path.symlink_to(content)
        return cls(path)

    def __repr__(self) -> str:
        return f"File({str(self.path)!r})"
