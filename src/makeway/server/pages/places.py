"""Name the pages: the one table in which a new page is entered.

A page is a file here with `routes`, an `APIRouter` of `PageRoute`s, and a template beside it. One
with a title stands in the navigation, and is reached by the keys `g` and its own.
"""

from __future__ import annotations

import msgspec


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A page of the navigation: its word, its path, its key, and the module with its routes."""

    title: str
    path: str
    key: str
    module: str


PLACES = (
    Place(title="Cluster", path="/", key="c", module="makeway.server.pages.cluster"),
    Place(title="Queue", path="/queue", key="q", module="makeway.server.pages.queue"),
    Place(title="Timeline", path="/timeline", key="t", module="makeway.server.pages.timeline"),
    Place(title="Workflows", path="/workflows", key="w", module="makeway.server.pages.workflows"),
    Place(title="Search", path="/search", key="s", module="makeway.server.pages.search"),
    Place(title="Lineage", path="/lineage", key="l", module="makeway.server.pages.lineage"),
    Place(title="Datasets", path="/datasets", key="m", module="makeway.server.pages.datasets"),
    Place(title="Decisions", path="/decisions", key="d", module="makeway.server.pages.decisions"),
    Place(title="Tokens", path="/tokens", key="k", module="makeway.server.pages.tokens"),
)
# Reached from others: they have no word of their own in the navigation.
OTHERS = (
    "makeway.server.pages.session",
    "makeway.server.pages.live",
    "makeway.server.pages.job",
    "makeway.server.pages.run",
    "makeway.server.pages.step",
    "makeway.server.pages.panels",
)
