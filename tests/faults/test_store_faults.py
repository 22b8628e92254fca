"""The store is full, busy or damaged: what cannot be kept is refused, what runs goes on, and it comes back."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from makeway.errors import Unavailable
from tests.faults.site import Site, site_in, wait_until

DISK_MIB = 4


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Give a disk of a few MiB, a real one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "makeway-faults", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root can mount a small disk")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def fill(disk: Path) -> Path:
    """Leave no byte free."""
    big = disk / "big"
    with big.open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 12, 1):
            try:
                while file.write(b"x" * size):
                    pass
            except OSError:
                continue
    return big


def test_a_full_disk_refuses_before_it_acknowledges_and_recovers_by_itself(
    tmp_path: Path, small_disk: Path
) -> None:
    with site_in(tmp_path, store=small_disk / "store") as site:
        site.opens()
        long = site.submits("long", "long")
        site.beats_on(long)
        big = fill(small_disk)
        refused = submit_until_refused(site)
        assert "disk is full" in str(refused)
        site.beats_on(long)
        assert site.asks(lambda client: client.status()).storing is False
        assert site.job(long).phase == "running"  # it can still be asked
        refill = fill(small_disk)  # what SQLite gave back meanwhile
        refused = submit_until_refused(site)
        site.beats_on(long)
        big.unlink(missing_ok=True)
        refill.unlink(missing_ok=True)
        wait_until(lambda: site.asks(lambda client: client.status()).storing, "room")
        # The key of what was refused is still free: the same request now leads to a job that runs.
        again = site.submits("quick", sorted(site.keys - {"long"})[-1])
        site.waits(again)
        assert site.job(again).phase == "succeeded"
        assert site.settles() == []
        assert len(site.marks(long, "start")) == 1


NUMBERS = count(1000)


def submit_until_refused(site: Site) -> Unavailable:
    """Bring jobs until one is refused; those that were acknowledged before it must end."""
    for _ in range(200):
        try:
            site.submits("quick", f"k{next(NUMBERS)}")
        except Unavailable as refused:
            return refused
    pytest.fail("a full disk took 200 jobs")


def test_a_database_that_is_locked_for_long_is_waited_for(tmp_path: Path) -> None:
    with site_in(tmp_path) as site:
        site.opens()
        long = site.submits("long", "long")
        site.beats_on(long)
        other = sqlite3.connect(site.store / "makeway.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable, match="another process has been writing"):
            site.submits("quick", "while-locked")
        site.beats_on(long)
        other.execute("COMMIT")
        other.close()
        wait_until(lambda: site.asks(lambda client: client.status()).storing, "the lock")
        site.waits(site.submits("quick", "while-locked"))
        assert site.settles() == []


def test_a_damaged_entry_is_named_and_what_it_is_about_left_out(tmp_path: Path) -> None:
    with site_in(tmp_path) as site:
        up = site.opens()
        long = site.submits("long", "long")
        held = site.submits("quick", "held", hold=True)
        site.beats_on(long)
        up.kill()
        with sqlite3.connect(site.store / "makeway.db") as database:
            database.execute(
                "UPDATE event SET payload = replace(payload, 'quick', 'thick')"
                " WHERE job = ? AND type = 'JobSubmitted'",
                (held,),
            )
        database.close()
        up = site.opens()
        assert held in up.said()
        assert "does not read as it was written" in up.said()
        site.beats_on(long)
        other = site.submits("quick", "other")
        site.waits(other)
        assert site.job(other).phase == "succeeded"
        assert site.job(long).phase == "running"
        said = site.settles_but(held)
        assert [one.partition(":")[0] for one in said] == ["lost", "damaged"], said
        assert held in said[0]


def test_one_key_from_many_threads_is_one_job(tmp_path: Path) -> None:
    with site_in(tmp_path) as site:
        site.opens()
        found: list[str] = []
        together = threading.Barrier(8)

        def bring() -> None:
            with site.client() as client:
                together.wait()
                found.append(client.submit(site.body("quick"), "one").id)

        threads = [threading.Thread(target=bring) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        site.acknowledged.update(found)
        assert len(found) == 8
        assert len(set(found)) == 1
        site.waits(found[0])
        assert len(site.marks(kind="start")) == 1
        assert site.settles() == []
