"""How the service of a store is found, and when a file of one deceives nobody."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from makeway.client.client import connect
from makeway.client.local import held, local_service

SAID = '{"url": "http://127.0.0.1:7071", "pid": 1, "started": 3}'


@contextmanager
def at_work(store: Path) -> Iterator[None]:
    """Hold the lock of a store, as a controller does."""
    descriptor = os.open(store / "controller.lock", os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def test_a_service_is_found_while_it_lives_and_not_by_what_it_left_behind(tmp_path: Path) -> None:
    (tmp_path / "service.json").write_text(SAID)
    (tmp_path / "owner.token").write_text("secret\n")
    assert local_service(tmp_path) is None
    with at_work(tmp_path):
        found = local_service(tmp_path)
        assert found is not None
        assert (found.url, found.pid, found.token) == ("http://127.0.0.1:7071", 1, "secret")
        assert held(tmp_path)
    assert not held(tmp_path)
    assert local_service(tmp_path) is None


@pytest.mark.parametrize("text", [None, "", "{", "[]", '{"pid": 1}'])
def test_what_is_no_address_is_no_service(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "service.json").write_text(text)
    with at_work(tmp_path):
        assert local_service(tmp_path) is None
    assert local_service(tmp_path / "nowhere") is None


def test_to_look_whether_somebody_works_keeps_nobody_from_working(tmp_path: Path) -> None:
    (tmp_path / "service.json").write_text(SAID)
    with at_work(tmp_path):
        pass
    for _ in range(3):
        assert not held(tmp_path)
        with at_work(tmp_path):
            assert held(tmp_path)


def test_the_nearest_address_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MAKEWAY_URL", raising=False)
    monkeypatch.setenv("MAKEWAY_STORE", str(tmp_path))
    assert connect().url == "http://127.0.0.1:7070"
    (tmp_path / "service.json").write_text(SAID)
    with at_work(tmp_path):
        assert connect().url == "http://127.0.0.1:7071"
        monkeypatch.setenv("MAKEWAY_URL", "http://b:1")
        assert connect().url == "http://b:1"
        assert connect("http://a:1").url == "http://a:1"
