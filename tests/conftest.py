"""Set up every test: how hard hypothesis tries, which tests are slow, a place for a store."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.project import Project, fresh_project
from tests.scaleout.cluster import RayCluster, running

# Real processes and real databases: `make check` has no time for them.
SLOW_FOLDERS = {"acceptance", "conformance", "faults", "live", "pages", "scaleout"}

# No deadline and no complaint about speed: on a busy machine both fail for no fault of the code.
# How many examples is the one thing in which the profiles differ.
COMMON = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.register_profile("dev", COMMON, max_examples=50)
settings.register_profile("ci", COMMON, max_examples=200)
settings.register_profile("nightly", COMMON, max_examples=5_000)


def pytest_configure() -> None:
    """Choose the hypothesis profile: MAKEWAY_HYPOTHESIS names it, else CI or not decides."""
    usual = "ci" if os.environ.get("CI") else "dev"
    settings.load_profile(os.environ.get("MAKEWAY_HYPOTHESIS", usual))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what lies in a slow folder as slow, so that nobody has to remember to."""
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here) and SLOW_FOLDERS & set(item.path.relative_to(here).parts):
            item.add_marker(pytest.mark.slow)


@pytest.fixture
def store_dir(tmp_path: Path) -> Path:
    """Give an empty folder in the place where a project keeps what makeway remembers."""
    folder = tmp_path / ".makeway"
    folder.mkdir()
    return folder


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """Give a folder for a user's files."""
    with fresh_project(tmp_path) as fresh:
        yield fresh


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[RayCluster]:
    """Start a Ray of several nodes on this machine, once; its tests belong to the group `ray`."""
    pytest.importorskip("ray")
    with running() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def swarm_seed() -> int:
    """Give the seed of a simulated swarm: what `make swarm seed=…` or CI says, or always 0."""
    return int(os.environ.get("MAKEWAY_SWARM_SEED", "0"))
