"""Wait with everything imported, and fork agents and workflow definitions from that.

A fresh interpreter costs 70 ms, one that imports torch 3 s; a fork of this process costs 2 ms and
shares its memory. It imports the user's file once, then only forks: it runs no step itself, so it
stays as it was after the import. The controller never imports the user's code at all.

A file that starts threads while it is imported cannot be forked safely (the threads, and whatever
locks they held, do not come along): its workers begin as fresh interpreters instead.

Started as `python -m makeway.worker.zygote FD`, with a socket to the controller at FD. It ends when
that socket does; the agents, in sessions of their own, go on.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import select
import signal
import socket
import sys
import threading
from pathlib import Path

import msgspec

from makeway.errors import MakewayError
from makeway.executor.folder import AGENT, EXIT, try_lock
from makeway.executor.processes import boot_id, reap
from makeway.executor.protocol import (
    Define,
    Defined,
    Failed,
    Fork,
    Forked,
    Frames,
    Launch,
    Load,
    Loaded,
    ToAgent,
    ToZygote,
    send,
)
from makeway.failpoint import reach
from makeway.model.record import ErrorRecord, Exit, Report, Yielded
from makeway.worker.account import own_name
from makeway.worker.agent import run_agent
from makeway.worker.flowfile import build_workflow, load_file


def main() -> None:
    """Serve the controller until it is gone, in the middle of a reply if need be."""
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        _serve()


def _serve() -> None:
    control = socket.socket(fileno=int(sys.argv[1]))
    wake = _wake_on_child()
    warm_up()
    _settle()
    frames: Frames[ToZygote] = Frames(ToZygote)
    loaded = ""
    while True:
        ready, _, _ = select.select([control.fileno(), wake], [], [])
        if wake in ready:
            os.read(wake, 4096)
            reap()
        if control.fileno() not in ready:
            continue
        data = control.recv(1 << 16)
        if not data:
            return
        for message in frames.feed(data):
            match message:
                case Load():
                    reply = _load(message)
                    if isinstance(reply, Loaded) and not reply.cold:
                        loaded = message.file
                    send(control, reply)
                case Define():
                    _define(message, control, wake)
                case Fork():
                    send(control, _fork(message, control, wake, loaded))


def warm_up() -> None:
    """Do once, in the process from which agents are forked, what each would have to do anew.

    Codecs find out about their types, the system loads what it needs to know of users: 4 of the 9 ms
    that an agent cost without this.
    """
    importlib.import_module("makeway.worker.runner")
    boot_id()
    own_name()
    for kind in (Launch, Exit, Report, ErrorRecord, Yielded):
        with contextlib.suppress(msgspec.ValidationError):
            msgspec.json.decode(b"{}", type=kind)
    msgspec.json.encode(Exit(at_ms=0))
    Frames[ToAgent](ToAgent)


def _wake_on_child() -> int:
    """Give a descriptor that can be read when a child has ended."""
    wake, signalled = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(signalled, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the controller's to handle
    return wake


def _load(message: Load) -> Loaded | Failed:
    try:
        load_file(Path(message.file))
    except Exception as error:  # noqa: BLE001 - the controller waits for a reply, whatever it is
        return _failed(error, message.file)
    _settle()
    return Loaded(cold=threading.active_count() > 1)


def _settle() -> None:
    gc.collect()
    gc.freeze()  # a collection in a child would touch, and so copy, every shared page


def _define(message: Define, control: socket.socket, wake: int) -> None:
    """Build the workflow in a child, so that what building it changes is gone afterwards."""
    if os.fork() != 0:
        return
    _forget(wake)
    try:
        store = Path(os.environ["MAKEWAY_STORE"])
        workflow = build_workflow(Path(message.file), message.workflow, message.params, store)
        send(control, Defined(workflow=workflow))
    except Exception as error:  # noqa: BLE001 - as above
        send(control, _failed(error, message.file))
    finally:
        os._exit(0)


def _failed(error: Exception, file: str) -> Failed:
    if isinstance(error, MakewayError):
        return Failed(problem=error.problem, where=error.where, hint=error.hint)
    return Failed(problem=f"{type(error).__name__}: {error}", where=file)


def _fork(message: Fork, control: socket.socket, wake: int, loaded: str) -> Forked:
    folder = Path(message.folder)
    try:
        lock = try_lock(folder)
    except OSError as error:
        return Forked(folder=message.folder, pid=None, problem=str(error))
    if lock is None:
        return Forked(folder=message.folder, pid=None, problem="its lock is held: it runs already")
    if (folder / AGENT).exists() or (folder / EXIT).exists():
        # Whoever asked may have died long ago, and its successor asked another process.
        os.close(lock)
        return Forked(folder=message.folder, pid=None, problem="it was brought to life before")
    reach("zygote.fork.before")
    pid = os.fork()
    if pid == 0:
        _forget(wake)
        control.close()
        try:
            run_agent(folder, lock, loaded)
        finally:
            os._exit(1)
    reach("zygote.fork.after")
    os.close(lock)  # the agent has inherited it: held while it, or its worker, lives
    return Forked(folder=message.folder, pid=pid)


def _forget(wake: int) -> None:
    """Undo in a child what only this process needs."""
    signalled = signal.set_wakeup_fd(-1)
    for descriptor in (wake, signalled):
        with contextlib.suppress(OSError):
            os.close(descriptor)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)


if __name__ == "__main__":
    main()
