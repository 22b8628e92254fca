"""Send what is recorded before SIGTERM ends this process, and change nothing else about it.

Where the program has a handler of its own, that is called after the sending; where it had none, the
process ends as it would have ended. A handler that the program sets later takes the place of this
one: then what is kept is sent by the recorder's thread, or when the interpreter ends. One that calls
what was there before it (many libraries do) gets the sending alone: it decides what SIGTERM means.

A process that ignores SIGTERM, or whose handler is none of Python's, is left as it is. Only a main
thread can hear signals.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType

Flush = Callable[[], bool]

_flush: Flush | None = None
_before: object = signal.SIG_DFL


def listen(flush: Flush) -> bool:
    """Call `flush` when SIGTERM comes; False if this is not the thread that could hear it.

    `flush` says whether it could; if not, it sees to it that the signal comes again.
    """
    global _flush, _before  # noqa: PLW0603 - one handler a process
    if threading.current_thread() is not threading.main_thread():
        return False
    before = signal.getsignal(signal.SIGTERM)
    _flush = flush
    if before is not _told and before is not None and before is not signal.SIG_IGN:
        _before = before
        signal.signal(signal.SIGTERM, _told)
    return True


def _told(number: int, frame: FrameType | None) -> None:
    if _flush is not None and not _flush():
        return
    if signal.getsignal(number) is not _told:
        return  # somebody else's handler called this one
    if callable(_before):
        _before(number, frame)
    else:
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
