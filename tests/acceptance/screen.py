"""A real terminal (a pseudo-terminal of the kernel) in which a command draws and reads keys."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.acceptance.terminal import MAKEWAY, PATIENCE_S

ROWS, COLUMNS = 40, 200


class Screen:
    """What a command has drawn so far, and its keyboard."""

    def __init__(self, process: subprocess.Popen[bytes], descriptor: int) -> None:
        self._process, self._descriptor = process, descriptor
        self._seen = b""

    def waits_for(self, words: str) -> None:
        """Read on until these words were drawn."""
        end = time.monotonic() + PATIENCE_S
        while words.encode() not in self._seen:
            assert time.monotonic() < end, f"it never drew {words!r}: {self._seen!r}"
            assert self._reads(0.5), f"it ended without {words!r}: {self._seen!r}"

    def presses(self, key: bytes) -> None:
        """Press a key."""
        os.write(self._descriptor, key)

    def ends(self) -> int:
        """Read on to its end, and give its exit code."""
        while self._reads(0.1) or self._process.poll() is None:
            pass
        return self._process.wait(PATIENCE_S)

    def _reads(self, patience_s: float) -> bool:
        """Read what there is; False: the command has closed its side."""
        readable, _, _ = select.select([self._descriptor], [], [], patience_s)
        if not readable:
            return self._process.poll() is None
        try:
            data = os.read(self._descriptor, 1 << 16)
        except OSError:  # what the kernel says when nobody has the other side any more
            return False
        self._seen += data
        return bool(data)


@contextmanager
def on_a_terminal(folder: Path, *words: str) -> Iterator[Screen]:
    """Type a command in a terminal of its own."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    process = subprocess.Popen(
        [*MAKEWAY, *words],
        cwd=folder,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm-256color"},
        start_new_session=True,
        # Ctrl-C is a key of this terminal: the command's session must own it.
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - no thread here
    )
    os.close(theirs)
    try:
        yield Screen(process, ours)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        os.close(ours)
