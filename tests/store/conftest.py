"""Give tests of the store an empty store quickly: it is built once and copied.

What asks for `database` or `location` runs on SQLite and, slowly, on a real PostgreSQL; what asks
for `folder` is about SQLite alone.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from makeway.store.database import FILE, Database, Location
from tests.store import postgres

# Each append is flushed, which takes milliseconds on a disk; what no test here looks at.
IN_MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None

NewStore = Callable[[], AbstractContextManager[Location]]


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build a store in the usual way."""
    folder = tmp_path_factory.mktemp("empty")
    Database.open(folder).close()
    return folder


@pytest.fixture(scope="session")
def server() -> Iterator[postgres.Server]:
    """Start a PostgreSQL with an empty store, once."""
    with postgres.running() as running:
        yield running


@pytest.fixture(scope="session")
def new_folder(empty_store: Path) -> NewStore:
    """Give what makes an empty store in a folder, as often as it is asked to."""

    @contextmanager
    def copy() -> Iterator[Location]:
        with tempfile.TemporaryDirectory(dir=IN_MEMORY) as place:
            shutil.copy(empty_store / FILE, place)
            yield Path(place)

    return copy


@pytest.fixture(
    params=["sqlite", pytest.param("postgres", marks=pytest.mark.slow)], scope="session"
)
def new_store(request: pytest.FixtureRequest) -> NewStore:
    """Give what makes an empty store of either kind."""
    if request.param == "postgres":
        running: postgres.Server = request.getfixturevalue("server")
        return running.database
    made: NewStore = request.getfixturevalue("new_folder")
    return made


@pytest.fixture
def location(new_store: NewStore) -> Iterator[Location]:
    """Give where an empty store is: a folder or a URL."""
    with new_store() as place:
        yield place


@pytest.fixture
def database(location: Location) -> Iterator[Database]:
    """Give an open, empty store."""
    with Database.open(location) as opened:
        yield opened


@pytest.fixture
def folder(empty_store: Path, tmp_path: Path) -> Path:
    """Give a folder with an empty store."""
    shutil.copy(empty_store / FILE, tmp_path / FILE)
    return tmp_path
