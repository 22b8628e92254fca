"""What the kernel killed for memory a moment ago, on the whole machine."""

from __future__ import annotations

from pathlib import Path

from makeway.worker.host_kills import VMSTAT, HostKills


def test_only_what_came_since_the_reading_before_counts_and_none_of_its_own(tmp_path: Path) -> None:
    file = tmp_path / "vmstat"

    def counts(number: int) -> None:
        file.write_text(f"pgfault 7\noom_kill {number}\nnr_free 3\n", "ascii")

    counts(5)
    kills = HostKills(file)
    assert kills.lately(0) == 0
    for number in (8, 8, 8):
        counts(number)
        kills.look()
    counts(10)
    assert kills.lately(0) == 2
    assert kills.lately(1) == 1
    assert kills.lately(9) == 0


def test_a_machine_that_does_not_count_has_killed_nobody(tmp_path: Path) -> None:
    assert HostKills(tmp_path / "none").lately(0) == 0
    (tmp_path / "vmstat").write_text("pgfault 7\noom_kill\n", "ascii")
    assert HostKills(tmp_path / "vmstat").lately(0) == 0


def test_this_machine_can_be_read() -> None:
    assert "oom_kill" in VMSTAT.read_text("ascii")
    assert HostKills().lately(10**9) == 0
