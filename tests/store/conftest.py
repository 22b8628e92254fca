"""Give tests of the store an empty store quickly: it is built once and copied."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from makeway.store.database import FILE, Database


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build a store in the usual way."""
    folder = tmp_path_factory.mktemp("empty")
    Database.open(folder).close()
    return folder


@pytest.fixture
def folder(empty_store: Path, tmp_path: Path) -> Path:
    """Give a folder with an empty store."""
    shutil.copy(empty_store / FILE, tmp_path / FILE)
    return tmp_path


@pytest.fixture
def database(folder: Path) -> Iterator[Database]:
    """Give an open, empty store."""
    with Database.open(folder) as opened:
        yield opened
