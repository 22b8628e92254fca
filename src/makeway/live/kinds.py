"""Let every shape of value be known before there is a second thread.

What reads JSON into values finds out about a class when it first meets it, and keeps that with the
class. While it does so for one thread, another one that meets the same class sees it half done, and
the process dies by a segmentation fault. So a service lets all classes that are there be met once,
in its first thread.

Cost:    25 ms, once
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import msgspec


def learn_kinds() -> int:
    """Meet every class of values that has been imported; give how many there are."""
    known = 0
    for kind in [*_below(msgspec.Struct)]:
        with contextlib.suppress(TypeError, NameError):  # a base that is never read by itself
            msgspec.json.Decoder(kind)
            known += 1
    return known


def _below(kind: type[msgspec.Struct]) -> Iterator[type[msgspec.Struct]]:
    for one in kind.__subclasses__():
        yield one
        yield from _below(one)
