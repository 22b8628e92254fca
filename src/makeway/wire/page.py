"""Hold what every answer has in common: pages of a list, and problems.

A list is never answered whole: a page has a cursor, and the next page begins behind it. A problem is
RFC 9457's, with a `code` that does not change and a `hint` of what to do.
"""

from __future__ import annotations

from typing import Generic, TypeVar

import msgspec

Item = TypeVar("Item")

PAGE = 100
PAGE_MAX = 1_000


class Page(msgspec.Struct, Generic[Item], frozen=True, kw_only=True):
    """Some of a list; `next_cursor` goes on where it ends, None: that was all."""

    items: tuple[Item, ...]
    next_cursor: str | None = None


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why a request was not done. `where` names the field, file or thing that is meant."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    code: str
    where: str = ""
    hint: str = ""
