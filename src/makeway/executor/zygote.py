"""Keep the zygote: start it, ask it, start it again if it dies.

It is the only process that imports the user's code on behalf of the controller, and the parent of
all agents (see `worker.zygote`, which it runs).
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from pathlib import Path

from makeway.errors import InvalidWorkflow, Unavailable
from makeway.executor.protocol import (
    Define,
    Defined,
    Failed,
    Fork,
    Frames,
    FromZygote,
    Load,
    Loaded,
    Message,
    send,
)
from makeway.model.workflow import Workflow


class Zygote:
    """The process from which agents are forked."""

    def __init__(self, store: Path) -> None:
        """Start it; it imports makeway's worker side meanwhile."""
        self._store, self._file = store, ""
        self._start()

    @property
    def socket(self) -> socket.socket:
        """Give the socket on which its replies come."""
        return self._socket

    def load(self, file: Path) -> None:
        """Let it import the user's file; raise what is wrong with that."""
        self._file = str(file)
        self._expect(self._request(Load(file=self._file)), Loaded)

    def define(self, file: Path, workflow: str | None, params: dict[str, str]) -> Workflow:
        """Let it build the workflow; raise what is wrong with that."""
        request = Define(file=str(file), workflow=workflow, params=params)
        reply = self._expect(self._request(request), Defined)
        assert isinstance(reply, Defined), "expected above"
        return reply.workflow

    def ask(self, message: Fork) -> bool:
        """Ask for an agent; the reply comes by `replies`. True if it had to be started again."""
        try:
            send(self._socket, message)
        except OSError:
            self.restart()
            send(self._socket, message)
            return True
        return False

    def replies(self) -> list[FromZygote] | None:
        """Read what it says; None if it has died."""
        try:
            data = self._socket.recv(1 << 16)
        except OSError:
            data = b""
        return self._frames.feed(data) if data else None

    def restart(self) -> None:
        """Start a fresh one with the same file imported."""
        self.close()
        self._start()
        if self._file:
            with contextlib.suppress(InvalidWorkflow):  # each worker will say it in its own log
                self._expect(self._request(Load(file=self._file)), Loaded)

    def close(self) -> None:
        """Let it go: it ends when its socket closes; agents do not."""
        self._socket.close()
        try:
            self._process.wait(timeout=2)
        except subprocess.TimeoutExpired:  # it is importing something: nobody needs that any more
            self._process.kill()
            self._process.wait()

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "makeway.worker.zygote", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                # What the user's file prints while it is imported is for the person, not data.
                stdout=2,
                env={**os.environ, "MAKEWAY_STORE": str(self._store)},
            )
        self._socket = ours
        self._frames: Frames[FromZygote] = Frames(FromZygote)

    def _request(self, message: Message) -> FromZygote | None:
        with contextlib.suppress(OSError):
            send(self._socket, message)
            return self._frames.receive(self._socket)
        return None

    def _expect(self, reply: FromZygote | None, wanted: type[Message]) -> FromZygote:
        if isinstance(reply, Failed):
            raise InvalidWorkflow(reply.problem, where=reply.where, hint=reply.hint)
        if reply is None or not isinstance(reply, wanted):
            code = self._process.wait()
            problem = f"the process that imports it died with exit code {code}"
            raise Unavailable(problem, where=self._file, hint="look at what it printed above")
        return reply
