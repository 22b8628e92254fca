"""Note in the folder of a store that its log is in a database elsewhere, so that all find it there.

Whoever opens the folder, a command that only reads as well as the next service, is led to the
database without being told again. The URL may hold a password: the file is its owner's alone.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

NOTE = "database.url"


def noted(folder: Path) -> str:
    """Give the URL of the database that holds the log; empty: it is in the folder itself."""
    with suppress(OSError, UnicodeDecodeError):
        return (folder / NOTE).read_text("utf-8").strip()
    return ""


def note(folder: Path, url: str) -> None:
    """Note the URL; it is there whole or not at all."""
    fresh = folder / f".{NOTE}.{os.getpid()}"
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(f"{url}\n")
    fresh.rename(folder / NOTE)
