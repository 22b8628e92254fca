"""Die or stop at a named step, so that a test can see what a crash or a hang there leads to.

    MAKEWAY_FAILPOINT="agent.exit.before"          the first time that any process gets there
    MAKEWAY_FAILPOINT="log.commit.after:3"         the third time that one process gets there
    MAKEWAY_FAILPOINT="agent.go:1@/tmp/died"       once for all processes: whoever makes that file
    MAKEWAY_FAILPOINT="agent.go@/tmp/stopped=stop" stops (SIGSTOP); its pid is in the file

A durable step has a name before and after it. Dying is SIGKILL to oneself: nothing is flushed,
nothing is tidied up, no handler runs, as when the machine's memory has run out.

Takes:   the variable, once, when this module is imported; forked processes inherit it
Cost:    one comparison of strings at a step when the variable is not set
"""

from __future__ import annotations

import os
import signal

VARIABLE = "MAKEWAY_FAILPOINT"
STOPS = "=stop"


def _read(text: str) -> tuple[str, int, str]:
    """Give the name, the count and the file that `name[:count][@file]` says."""
    text, _, file = text.removesuffix(STOPS).partition("@")
    name, _, count = text.partition(":")
    return name, int(count or 1), file


_name, _left, _once = _read(os.environ.get(VARIABLE, ""))
_stops = os.environ.get(VARIABLE, "").endswith(STOPS)


def reach(name: str) -> None:
    """Say that this step is reached; never come back if that is where to die."""
    if name == _name:
        _count_down()


def _count_down() -> None:
    global _left  # noqa: PLW0603 - a process counts its own steps
    _left -= 1
    if _left != 0:
        return
    if _once:
        try:
            descriptor = os.open(_once, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return
        os.write(descriptor, str(os.getpid()).encode())
        os.close(descriptor)
    if _stops:
        os.kill(os.getpid(), signal.SIGSTOP)
        return
    os.kill(os.getpid(), signal.SIGKILL)
    signal.pause()  # the signal is on its way: nothing may happen meanwhile
