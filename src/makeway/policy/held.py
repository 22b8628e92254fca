"""Sum up what the jobs of one queue and one class hold."""

from __future__ import annotations

import msgspec

from makeway.model.resources import NOTHING, Resources


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """How many jobs of one queue and one class hold something, and how much they hold."""

    jobs: int = 0
    usage: Resources = NOTHING
