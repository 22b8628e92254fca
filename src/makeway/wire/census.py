"""Say how many jobs there are of each kind, for machines that watch: numbers without names."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec


class Census(msgspec.Struct, frozen=True, kw_only=True):
    """Open jobs by phase, those that wait by their reason, the steps among them; absent is 0."""

    phases: Mapping[str, int]
    reasons: Mapping[str, int]
    steps: Mapping[str, int] = {}
