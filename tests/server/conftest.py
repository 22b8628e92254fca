"""Start one service for the tests of a file; a test that needs its own starts it itself."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from makeway.server.office import Settings
from tests.server.site import Site, site_in


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Give a service whose streams say often that nothing is new."""
    with site_in(tmp_path_factory.mktemp("site") / ".makeway", Settings(heartbeat_s=0.2)) as site:
        yield site
