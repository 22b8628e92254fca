"""Say what every event has in common: it is a fact, told in the past tense, and its name is its tag."""

from __future__ import annotations

import msgspec


class Fact(msgspec.Struct, frozen=True, kw_only=True, tag=True, tag_field="type"):
    """The base of every event; its name is its tag on the wire."""
