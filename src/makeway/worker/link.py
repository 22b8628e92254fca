"""Keep an agent in touch with the controller and with the recorder of its worker.

Nothing here waits for the controller: what it does not take now is kept, up to a limit, and sent
when it is back; what is still there at the end is left in the worker's folder. The oldest samples
go first when there are too many, and how many is counted. While the controller is there and only
slower than the worker, samples are left with the recorder, which can keep as many once more.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import time
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from makeway.executor.address import listen
from makeway.executor.folder import SPOOL, write_whole
from makeway.executor.protocol import (
    LENGTH,
    Frames,
    Go,
    Launch,
    Measured,
    Message,
    Ready,
    Renewed,
    Resize,
    Started,
    Stop,
    ToAgent,
)
from makeway.model.record import Note, Sample
from makeway.worker.contact import Contact
from makeway.worker.datagram import Noted, decoder
from makeway.worker.holding import Held

BATCH = 500
KEPT_MAX = 100_000
HELD_BACK_AT = KEPT_MAX // 2
RECORDS = "record.sock"

_encoder = msgspec.msgpack.Encoder()


class Link:
    """The agent's two sockets and what waits to be sent; see the module."""

    def __init__(self, contact: Contact, folder: Path) -> None:
        """Listen for the worker's recorder and call the controller."""
        self._contact, self._folder = contact, folder
        self._records = listen(folder / RECORDS, socket.SOCK_DGRAM)
        self._records.settimeout(0)
        self._poll = select.poll()
        self._poll.register(self._records, select.POLLIN)
        self._peer: socket.socket | None = None
        self._frames: Frames[ToAgent] = Frames(ToAgent)
        self._greetings: list[Ready | Started] = []
        self._out = bytearray()
        self._kept: deque[Measured] = deque()
        self._kept_samples = 0
        self.noted: list[Note] = []
        self._call_at = 0.0
        self._holding = False
        self.dropped = 0
        self.held = Held()

    def let_in(self, uid: int, gid: int) -> None:
        """Let a worker of another user record."""
        os.chown(self._folder / RECORDS, uid, gid)

    def descriptors(self) -> tuple[int, ...]:
        """Give what the worker must not inherit."""
        own = (self._records.fileno(),)
        return own if self._peer is None else (*own, self._peer.fileno())

    def watch(self, descriptor: int) -> None:
        """Let `exchange` return as well when this descriptor can be read."""
        self._poll.register(descriptor, select.POLLIN)

    def unwatch(self, descriptor: int) -> None:
        """Stop watching a descriptor."""
        self._poll.unregister(descriptor)

    def greet(self, message: Ready | Started) -> None:
        """Say where the worker stands, now and again whenever contact is made anew.

        What was said of an earlier generation is not said again.
        """
        self._greetings = [
            said for said in self._greetings if said.generation == message.generation
        ]
        self._greetings.append(message)
        if self._peer is None:
            self._call()
        else:
            self._queue(message)
            self._push()

    def pass_on(self, launch: Launch, samples: Iterable[Sample]) -> None:
        """Send samples, and what was noted beside them, or keep them until somebody takes them."""
        batch = tuple(samples)
        notes, self.noted = tuple(self.noted), []
        if not batch and not notes:
            return
        measured = Measured(
            job=launch.job, number=launch.number, rank=launch.rank, samples=batch, notes=notes
        )
        self._kept.append(measured)
        self._kept_samples += _size(measured)
        while self._kept_samples > KEPT_MAX:
            lost = _size(self._kept.popleft())
            self._kept_samples -= lost
            self.dropped += lost
        self._push()

    def exchange(self, timeout_ms: int) -> Iterator[Go | Resize | Stop]:
        """Wait at most so long; send what can be sent; give what the controller orders."""
        if self._peer is None:
            timeout_ms = min(timeout_ms, int(self._contact.again_s * 1000))
            self._call()
        if (renewal := self._contact.renewal()) is not None and self._peer is not None:
            self._queue(renewal)
            self._push()
        slow = self._peer is not None and self._kept_samples >= HELD_BACK_AT
        self._hold_back(holding=slow)
        events = dict(self._poll.poll(timeout_ms))
        if self._peer is not None and self._peer.fileno() in events:
            yield from self._listen()
        self._push()

    def read_records(self, *, last: bool = False) -> Iterator[Sample]:
        """Take the samples since the last look; at the `last` one all of it.

        Notes stay here for the next `pass_on`.
        """
        if self._holding and not last:
            return
        with contextlib.suppress(BlockingIOError):
            while True:
                data, descriptors, *_ = socket.recv_fds(self._records, 1 << 18, 1)
                if descriptors:
                    self.held.take(data, descriptors)
                    continue
                # A datagram that is no record comes from a stranger in the worker: not our trouble.
                with contextlib.suppress(msgspec.DecodeError):
                    match decoder.decode(data):
                        case Noted(notes=notes, dropped=dropped):
                            self.noted += notes
                            self.dropped += dropped
                        case samples:
                            yield from samples

    def _hold_back(self, *, holding: bool) -> None:
        """Wait for the controller to take more, instead of for the worker to bring more."""
        if holding is not self._holding:
            self._holding = holding
            self._poll.modify(self._records, 0 if holding else select.POLLIN)
            if self._peer is not None:
                self._poll.modify(self._peer, select.POLLIN | (select.POLLOUT if holding else 0))

    def tell(self, message: Message) -> None:
        """Say something once, if anybody listens now."""
        if self._peer is not None:
            self._queue(message)
            self._push()

    def close(self) -> None:
        """Send what is left if somebody listens, else leave it in the folder."""
        self._push()
        if self._peer is not None and (self._out or self._kept):
            self._peer.settimeout(1.0)
            with contextlib.suppress(OSError):
                self._push()
        with contextlib.suppress(OSError):  # the disk is full: samples are the least that matters
            if self._kept:
                write_whole(self._folder / SPOOL, _encoder.encode(list(self._kept)))
        self._records.close()
        if self._peer is not None:
            self._peer.close()
        with contextlib.suppress(FileNotFoundError):
            (self._folder / RECORDS).unlink()

    def _call(self) -> None:
        if time.monotonic() < self._call_at:
            return
        self._call_at = time.monotonic() + self._contact.again_s
        with contextlib.suppress(OSError):
            self._peer = self._contact.connect()
            self._peer.settimeout(0)
            self._poll.register(self._peer, select.POLLIN)
            self._frames = Frames(ToAgent)
            self._out.clear()
            if (hello := self._contact.first()) is not None:
                self._queue(hello)
            for message in self._greetings:
                self._queue(message)
            self._push()

    def _queue(self, message: Message) -> None:
        body = _encoder.encode(message)
        self._out += LENGTH.pack(len(body)) + body

    def _push(self) -> None:
        while self._peer is not None:
            if not self._out:
                if not self._kept:
                    return
                batch = self._kept.popleft()
                self._kept_samples -= _size(batch)
                self._queue(batch)
            try:
                sent = self._peer.send(self._out)
            except BlockingIOError:
                return
            except OSError:
                self._cut_off()
                return
            del self._out[:sent]

    def _listen(self) -> Iterator[Go | Resize | Stop]:
        assert self._peer is not None, "listened to only while there is contact"
        try:
            data = self._peer.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._cut_off()
        for message in self._frames.feed(data):
            if isinstance(message, Renewed):
                self._contact.renewed(message)
            else:
                yield message

    def _cut_off(self) -> None:
        if self._peer is not None:
            self._hold_back(holding=False)
            self._poll.unregister(self._peer)
            self._peer.close()
            self._peer = None
            self._out.clear()


def _size(measured: Measured) -> int:
    return len(measured.samples) + len(measured.notes)
