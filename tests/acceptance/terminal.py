"""A person at a terminal: types `makeway …` in a folder of their own and reads what comes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

MAKEWAY = (sys.executable, "-m", "makeway")
PATIENCE_S = 120.0


class Said(subprocess.CompletedProcess[str]):
    """What a command printed, and its exit code."""


class Terminal:
    """A folder to work in, with the store that a plain command uses there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = folder / ".makeway"

    def types(self, *words: str, expect: int | None = 0) -> subprocess.CompletedProcess[str]:
        """Type a command and wait for its end."""
        done = subprocess.run(
            [*MAKEWAY, *words],
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        if expect is not None:
            assert done.returncode == expect, f"{words}: {done.stdout}\n{done.stderr}"
        return done

    def reads(self, *words: str) -> Any:
        """Type a command and read its JSON."""
        return json.loads(self.types(*words, "-o", "json").stdout)

    def begins(self, *words: str) -> Running:
        """Type a command and do not wait for it."""
        return Running(self.folder, words)


class Running:
    """A command that is still running; what it says goes to a file that can be watched."""

    def __init__(self, folder: Path, words: tuple[str, ...]) -> None:
        self._said = folder / f"said-{time.monotonic_ns()}"
        with self._said.open("wb") as file:
            self.process = subprocess.Popen(
                [*MAKEWAY, *words],
                cwd=folder,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )

    def said(self) -> str:
        """What it has printed so far."""
        return self._said.read_text(encoding="utf-8")

    def waits_for(self, words: str) -> None:
        """Wait until it has printed these words."""
        end = time.monotonic() + PATIENCE_S
        while words not in self.said():
            assert self.process.poll() is None, f"it ended without {words!r}: {self.said()}"
            assert time.monotonic() < end, f"it never said {words!r}: {self.said()}"
            time.sleep(0.05)

    def sends(self, number: signal.Signals) -> None:
        """Send a signal to the command alone, as `kill` does."""
        self.process.send_signal(number)

    def ends(self) -> int:
        """Wait for its end."""
        return self.process.wait(timeout=PATIENCE_S)
