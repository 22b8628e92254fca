"""A log that is flooded is cut, says so, and goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from makeway.executor.folder import LOG
from makeway.worker import flood


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flood, "MOST_BYTES", 1_000)
    monkeypatch.setattr(flood, "KEPT_BYTES", 100)


def test_a_log_that_is_too_long_keeps_its_end_and_says_what_was_cut(tmp_path: Path) -> None:
    log = tmp_path / LOG
    with log.open("ab", buffering=0) as worker:
        for number in range(300):
            worker.write(b"line %03d\n" % number)
        flood.cut_flood(tmp_path)
        worker.write(b"and on\n")
    first, *kept = log.read_text().splitlines()
    assert first == "makeway: 2,601 bytes were cut here; a log has 1,000 at most"
    assert kept == [*(f"line {number}" for number in range(289, 300)), "and on"]


def test_a_log_that_is_not_too_long_is_left_alone(tmp_path: Path) -> None:
    flood.cut_flood(tmp_path)
    (tmp_path / LOG).write_text("x" * 1_000)
    flood.cut_flood(tmp_path)
    assert (tmp_path / LOG).read_text() == "x" * 1_000


def test_what_a_link_leads_to_is_never_cut(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("x" * 5_000)
    (tmp_path / LOG).symlink_to(tmp_path / ("precious"))
    flood.cut_flood(tmp_path)
    assert (tmp_path / "precious").stat().st_size == 5_000
