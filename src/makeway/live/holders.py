"""Let those go who hold outputs in memory for runs that are over.

Takes:   the folder of the store; what is believed
Gives:   nothing; holders of no run that goes on are told to end, and what pointed to them is removed
Holds:   only who is a holder by its record, its pid, its start and this boot is told anything
Cost:    one listing of a folder when a run ends; nothing where nothing was ever held
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterable
from pathlib import Path

import msgspec

from makeway.engine.state import State
from makeway.executor.processes import boot_id, start_ticks
from makeway.model.event import Entry, RunFinished
from makeway.model.workflow import run_of
from makeway.store import held


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """Who holds outputs of which job, as it wrote itself down."""

    job: str
    pid: int
    started_ticks: int
    boot: str


class Holders:
    """Whoever holds outputs for the runs of one store; see the module."""

    def __init__(self, store: Path) -> None:
        """Take where they have written themselves down."""
        self._store = store

    def after(self, state: State, entries: Iterable[Entry]) -> None:
        """Look after them, if a run has ended by these entries."""
        if any(isinstance(entry.event, RunFinished) for entry in entries):
            self.sweep(state)

    def sweep(self, state: State) -> None:
        """Let all go whose run is over."""
        folder = self._store / held.FOLDER / held.HOLDERS
        with contextlib.suppress(OSError):
            for file in [*folder.iterdir()] if folder.is_dir() else []:
                try:
                    known = msgspec.json.decode(file.read_bytes(), type=Held)
                except msgspec.DecodeError:
                    continue
                if run_of(known.job) not in state.runs:
                    self._let_go(known)
                    file.unlink(missing_ok=True)

    def _let_go(self, known: Held) -> None:
        if known.boot == boot_id() and start_ticks(known.pid) == known.started_ticks:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(known.pid, signal.SIGTERM)
        for link in [*held.links_of(self._store, known.pid)]:
            link.unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # others hold the same
                link.parent.rmdir()
