"""Give tests of executors a stage of each kind: what asks for `stage` runs on all of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.stage import Stage

ON_RAY = [pytest.mark.slow, pytest.mark.xdist_group("ray")]


@pytest.fixture(params=["local", pytest.param("ray", marks=ON_RAY)])
def stage(request: pytest.FixtureRequest, store_dir: Path) -> Iterator[Stage]:
    """Give an executor with an empty store."""
    made = Stage(store_dir) if request.param == "local" else _on_ray(request, store_dir)
    yield made
    made.close()


def _on_ray(request: pytest.FixtureRequest, store: Path) -> Stage:
    cluster = request.getfixturevalue("ray_cluster")
    from tests.conformance.ray_stage import RayStage

    return RayStage(store, cluster.address)
