"""Hear what happens without waiting longer for it than one wants, and leave in peace on Ctrl-C.

The events come over a way of their own, read by a thread, so that whoever waits for them can also
look at the clock or at the keyboard.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

import click

from makeway.cli.codes import CTRL_C
from makeway.cli.connect import Asked, opened
from makeway.errors import Unavailable
from makeway.model.event import Entry

if TYPE_CHECKING:
    from makeway.wire.desk import Desk

PATIENCE_S, AGAIN_S = 30.0, 0.3

Answer = TypeVar("Answer")


class News:
    """What has happened after a seq, as it happens."""

    def __init__(self, whom: Asked, after: int) -> None:
        """Begin to listen."""
        self._heard: queue.SimpleQueue[Entry | Exception | None] = queue.SimpleQueue()
        self.over = False
        thread = threading.Thread(target=self._listen, args=(whom, after), daemon=True)
        thread.start()

    def next(self, timeout_s: float | None = None) -> Entry | None:
        """Give the next event; None if none came in time, or none will come any more."""
        if self.over:
            if timeout_s is not None:
                time.sleep(min(timeout_s, 1.0))
            return None
        try:
            heard = self._heard.get(timeout=timeout_s)
        except queue.Empty:
            return None
        if isinstance(heard, Exception):
            raise heard
        self.over = heard is None
        return heard

    def _listen(self, whom: Asked, after: int) -> None:
        try:
            with opened(whom) as desk:
                for entry in desk.events(after, follow=True):
                    self._heard.put(entry)
            self._heard.put(None)
        except Exception as error:  # noqa: BLE001 - it belongs to whoever waits for the news
            self._heard.put(error)


def patiently(ask: Callable[[], Answer]) -> Answer:
    """Ask, and again while the service is gone: it may be back in a moment."""
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            return ask()
        except Unavailable:
            if time.monotonic() > until:
                raise
            time.sleep(AGAIN_S)


def last_event(desk: Desk) -> int:
    """Give the seq of the newest event: what is asked after this knows it."""
    return desk.status().last_event


def about(entry: Entry, job: str) -> bool:
    """Say whether an event is about a job."""
    return getattr(entry.event, "job", None) == job


@contextmanager
def in_peace(text: str) -> Iterator[None]:
    """Let Ctrl-C end this command and nothing else, and say so with this text."""
    try:
        yield
    except KeyboardInterrupt:
        click.echo(f"\n{text}", err=True)
        raise click.exceptions.Exit(CTRL_C) from None
