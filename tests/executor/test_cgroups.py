"""Where a cgroup can be had: the machine's own files, written as different machines have them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from makeway.executor import cgroups


def machine(root: Path, mounts: str, own: str, **files: str) -> Path:
    """Write what /proc says, and the files of our own cgroup."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/mounts").write_text(mounts)
    (root / "proc/self/cgroup").write_text(own)
    folder = root / "sys/fs/cgroup/here"
    folder.mkdir(parents=True)
    for name, text in {"cgroup_procs": f"{os.getpid()}\n", **files}.items():
        (folder / name.replace("_", ".", 1)).write_text(text)
    return folder


def test_without_the_memory_controller_there_is_none(tmp_path: Path) -> None:
    machine(
        tmp_path, "none /sys/fs/cgroup cgroup2 rw 0 0\n", "0::/here\n", cgroup_controllers="cpu"
    )
    assert cgroups.parent_of_workers(tmp_path) is None


def test_a_machine_that_knows_no_cgroups_has_none(tmp_path: Path) -> None:
    assert cgroups.parent_of_workers(tmp_path) is None


def test_a_cgroup_that_we_are_not_in_is_not_ours(tmp_path: Path) -> None:
    folder = machine(tmp_path, "none /sys/fs/cgroup cgroup rw,memory 0 0\n", "4:memory:/here\n")
    (folder / "cgroup.procs").write_text("1\n")
    assert cgroups.parent_of_workers(tmp_path) is None


def test_others_who_live_in_our_cgroup_are_not_moved_out_of_it(tmp_path: Path) -> None:
    folder = machine(
        tmp_path,
        "none /sys/fs/cgroup cgroup2 rw 0 0\n",
        "0::/here\n",
        cgroup_controllers="cpu memory",
        cgroup_procs=f"1\n{os.getpid()}\n",
    )
    assert cgroups.parent_of_workers(tmp_path) is None
    assert not (folder / cgroups.OWN).exists()


PARENT = cgroups.parent_of_workers()


@pytest.mark.skipif(PARENT is None, reason="no cgroup is ours here")
def test_a_cgroup_is_made_and_taken_away() -> None:
    assert PARENT is not None
    own = PARENT / f"makeway-test-{os.getpid()}"
    cgroups.make(own, 1 << 30)
    cgroups.make(own, 1 << 30)
    assert cgroups.members(own) == []
    assert cgroups.oom_kills(own) == 0
    cgroups.remove(own)
    cgroups.remove(own)
    assert not own.exists()
    assert cgroups.members(own) == []
    assert (cgroups.oom_kills(own), cgroups.peak_bytes(own)) == (0, 0)
