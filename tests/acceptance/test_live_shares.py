"""Who owns what, live (S2, S3): queues in a file, jobs of real processes, `makeway shares`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.cluster import Cluster, cluster

USERS = '[[nodes]]\nname = "n"\ncount = 2\ncpus = 4\n' + "".join(
    f'[[queues]]\nname = "{user}"\nborrow = false\n' for user in "abcd"
)


def shares(here: Cluster, *below: str) -> dict[str, Any]:
    """Give the row of each queue by its path."""
    return {one["path"]: one for one in here.shop.reads("shares", *below)["items"]}


def test_s2_each_user_owns_a_quarter_and_a_fifth_when_there_are_five(tmp_path: Path) -> None:
    with cluster(tmp_path, USERS) as here:
        here.brings("a1", "--queue", "a", "--cpus", "2")
        waiting = here.brings("a2", "--queue", "a", "--cpus", "2")
        here.brings("b1", "--queue", "b", "--workers", "2")
        here.brings("c1", "--queue", "c", "--cpus", "2")
        here.brings("d1", "--queue", "d")
        for name in ("a1", "b1", "c1", "d1"):
            here.waits_for("AttemptReleased", name)
        assert here.shop.reads("why", waiting)["wait"]["reason"] in ("BorrowingOff", "OverShare")
        rows = shares(here)
        assert [rows[user]["share"] for user in "abcd"] == [0.25] * 4
        assert rows["b"]["usage"]["cpus"] == 2 == 0.25 * 8
        here.brings("e1", "--queue", "e")
        here.waits_for("AttemptReleased", "e1")
        rows = shares(here)
        assert [rows[user]["share"] for user in "abcde"] == [pytest.approx(0.2)] * 5
        assert "20.0%" in here.shop.types("shares").stdout
        assert "a2" not in here.starts()
        here.ends("a1")
        here.ends("b1", "c1", "d1", "e1")


GROUPS = '[[nodes]]\nname = "n"\ncount = 3\ncpus = 3\n' + "".join(
    f'[[queues]]\nname = "g{group}"\n'
    + "".join(f'[[queues.queues]]\nname = "u{user}"\n' for user in range(1, users + 1))
    for group, users in enumerate((3, 2, 4), start=1)
)


def test_s3_three_groups_own_a_third_each_and_divide_it_among_their_users(tmp_path: Path) -> None:
    with cluster(tmp_path, GROUPS) as here:
        for group, users in enumerate((3, 2, 4), start=1):
            words = ("--queue", f"g{group}/u{users}", "--cpus", "0.5")
            here.brings(f"j{group}", *words)
        for group in (1, 2, 3):
            here.waits_for("AttemptReleased", f"j{group}")
        rows = shares(here)
        for group, users in enumerate((3, 2, 4), start=1):
            assert rows[f"g{group}"]["share"] == pytest.approx(1 / 3)
            for user in range(1, users + 1):
                found = rows[f"g{group}/u{user}"]["share"]
                assert found == pytest.approx(1 / 3 / users), f"g{group}/u{user}"
        printed = here.shop.types("shares").stdout
        assert all(text in printed for text in ("33.3%", "11.1%", "16.7%", "8.3%"))
        here.ends("j1", "j2", "j3")
