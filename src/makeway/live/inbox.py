"""Let other threads ask the controller, which alone touches the engine.

Whoever asks brings events that are to be believed, or a question to the state, and waits. What has
come together while the controller was busy is taken in one step and one transaction, so a crowd of
submissions costs one write.

Raises:  Unavailable: the controller has ended, or does not answer in time
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TooLate
from typing import TypeVar

import msgspec

from makeway.engine.engine import Refused
from makeway.engine.state import State
from makeway.errors import Unavailable
from makeway.executor.base import Readings
from makeway.model.event import Entry, Event
from makeway.store.idempotency import Write

PATIENCE_S = 30.0

Answer = TypeVar("Answer")


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What became of events: every fact of their step, and which of them were not believed."""

    entries: Sequence[Entry]
    refused: Sequence[Refused]


class Order(msgspec.Struct, kw_only=True, eq=False):
    """Events that somebody brought, what is written with them, and the promise of an answer."""

    events: Sequence[Event]
    also: Sequence[Write]
    told: Future[Told]


class Question(msgspec.Struct, kw_only=True, eq=False):
    """Something to be read from the state between two steps."""

    look: Callable[[State], object]
    answer: Future[object]

    def ask(self, state: State) -> None:
        """Look, and give the answer or what went wrong."""
        try:
            self.answer.set_result(self.look(state))
        except BaseException as error:  # noqa: BLE001 - it belongs to whoever asked
            self.answer.set_exception(error)


class Recording(msgspec.Struct, kw_only=True, eq=False):
    """What programs say of themselves by another way than their agents, and the promise to keep it."""

    readings: Sequence[Readings]
    kept: Future[None]


class Inbox:
    """Where other threads leave what they want; see the module."""

    def __init__(self) -> None:
        """Begin empty; `wake` is set by whoever takes from it."""
        self._lock = threading.Lock()
        self._orders: list[Order] = []
        self._questions: list[Question] = []
        self._recordings: list[Recording] = []
        self._closed = False
        self.wake: Callable[[], None] = lambda: None

    def tell(self, events: Sequence[Event], also: Sequence[Write] = ()) -> Told:
        """Bring events and wait until they are durable, with `also` in the same transaction."""
        order = Order(events=events, also=also, told=Future())
        with self._lock:
            self._assert_open()
            self._orders.append(order)
        self.wake()
        return _patiently(order.told)

    def ask(self, look: Callable[[State], Answer]) -> Answer:
        """Look at the state, from the controller's own thread."""
        question = Question(look=look, answer=Future())
        with self._lock:
            self._assert_open()
            self._questions.append(question)
        self.wake()
        return _patiently(question.answer)  # type: ignore[return-value]  # it is what `look` gave

    def record(self, readings: Sequence[Readings]) -> None:
        """Bring samples and notes, and wait until a reader of the store finds them."""
        recording = Recording(readings=readings, kept=Future())
        with self._lock:
            self._assert_open()
            self._recordings.append(recording)
        self.wake()
        _patiently(recording.kept)

    def recorded(self) -> list[Recording]:
        """Give all recordings that have come."""
        with self._lock:
            recordings, self._recordings = self._recordings, []
        return recordings

    def take(self) -> tuple[list[Order], list[Question]]:
        """Give all that has come."""
        with self._lock:
            taken = self._orders, self._questions
            self._orders, self._questions = [], []
        return taken

    def close(self) -> None:
        """Take nothing any more, and say so to those who wait."""
        with self._lock:
            self._closed = True
            orders, questions = self._orders, self._questions
            recordings = self._recordings
            self._orders, self._questions, self._recordings = [], [], []
        for recording in recordings:
            recording.kept.set_exception(_ending())
        for order in orders:
            order.told.set_exception(_ending())
        for question in questions:
            question.answer.set_exception(_ending())

    def _assert_open(self) -> None:
        if self._closed:
            raise _ending()


def _ending() -> Unavailable:
    return Unavailable("the service is ending", hint="ask again when it is up")


def _patiently(promise: Future[Answer]) -> Answer:
    try:
        return promise.result(PATIENCE_S)
    except TooLate:
        problem = f"the controller has not answered for {PATIENCE_S:.0f} s"
        raise Unavailable(problem, hint="it is very busy, or its disk is: try again") from None
