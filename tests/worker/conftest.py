"""What the tests of a worker share: an agent that listens."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from makeway.worker import recorder
from tests.worker.listening import Agent


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Agent]:
    """Stand in a worker whose agent listens."""
    monkeypatch.setenv("MAKEWAY_DIR", str(tmp_path))
    recorder.forget()
    listening = Agent(tmp_path)
    yield listening
    listening.link.close()
    recorder.forget()
