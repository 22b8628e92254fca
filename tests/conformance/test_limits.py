"""A worker's tree gets the memory that was asked for and no more, by whatever means there are."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from makeway.executor import cgroups
from makeway.executor.equipment import Site
from makeway.executor.folder import LAUNCH, read_whole
from makeway.executor.protocol import Launch
from makeway.model.job import Program
from tests.conformance.stage import Stage, alive, eventually, pids_in, script

MB = 1 << 20
LIMIT = 200 * MB
PARENT = cgroups.parent_of_workers()

CGROUP = pytest.param(
    Site(), id="cgroup", marks=pytest.mark.skipif(PARENT is None, reason="no cgroup is ours here")
)
GUARD = pytest.param(Site(cgroups=False), id="guard")


@pytest.fixture(params=[CGROUP, GUARD])
def stage(request: pytest.FixtureRequest, store_dir: Path) -> Iterator[Stage]:
    made = Stage(store_dir, request.param)
    yield made
    made.close()


def python(text: str) -> Program:
    return Program(argv=("python3", "-c", text))


def by_our_guard(stage: Stage) -> bool:
    return not stage.site.cgroups


def test_who_keeps_within_its_memory_is_left_alone(stage: Stage) -> None:
    quiet = "import time; x = b'x' * (100 << 20); time.sleep(0.6)"
    (ended,) = stage.run(python(quiet), memory_bytes=LIMIT)
    assert ended.good
    assert (ended.oom_kills, ended.over_memory) == (0, False)


def test_who_takes_more_is_killed_and_it_is_known_why(stage: Stage) -> None:
    greedy = "import time\nx = []\nwhile True: x.append(b'x' * (10 << 20)); time.sleep(0.02)"
    (ended,) = stage.run(python(greedy), memory_bytes=LIMIT)
    assert ended.signal == signal.SIGKILL
    assert ended.over_memory == by_our_guard(stage)
    assert (ended.oom_kills > 0) == (not by_our_guard(stage))
    assert 0.8 * LIMIT < ended.memory_peak_bytes < 2 * LIMIT


def test_the_whole_tree_counts_and_the_whole_tree_goes(stage: Stage, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    hungry = "import time; x = b'x' * (90 << 20); time.sleep(60)"
    text = f'for i in 1 2 3; do setsid python3 -c "{hungry}" & echo $! >> {pids}; done; wait'
    (ended,) = stage.run(script(text), memory_bytes=LIMIT)
    assert ended.signal == signal.SIGKILL
    assert ended.over_memory or ended.oom_kills
    assert len(list(pids_in(pids))) == 3
    assert not any(alive(pid) for pid in pids_in(pids))


def test_one_gulp_cannot_take_the_machine_along(stage: Stage) -> None:
    (ended,) = stage.run(python("x = b'x' * (4 << 30)"), memory_bytes=LIMIT)
    assert not ended.good
    assert ended.memory_peak_bytes < 1024 * MB


def left(stage: Stage) -> bool:
    """Say whether the worker's cgroup is still there; others may have theirs meanwhile."""
    launch = read_whole(stage.folder() / LAUNCH, Launch)
    assert launch is not None
    return bool(launch.cgroup) and Path(launch.cgroup).exists()


def test_nothing_is_left_of_a_cgroup(stage: Stage) -> None:
    stage.run(script("exit 0"), memory_bytes=LIMIT)
    assert not left(stage)


def test_a_cgroup_without_its_agent_is_swept_as_well(stage: Stage, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    text = f"echo $$ > {pids}; setsid env -i sleep 60 9>&- & echo $! >> {pids}; sleep 60"
    stage.launch(script(text), asked={"memory_bytes": LIMIT})
    stage.ready()
    stage.release()
    stage.started()
    assert eventually(lambda: pids.exists() and len(list(pids_in(pids))) == 2)
    stage.kill_agent()
    assert stage.exit().lost is not None
    assert not any(alive(pid) for pid in pids_in(pids))
    assert not left(stage)


def test_processors_are_given_out_whole_where_the_site_wants_that(store_dir: Path) -> None:
    stage = Stage(store_dir, Site(pin=True))
    try:
        stage.run(script("grep Cpus_allowed_list /proc/self/status"), workers=2, cpu_milli=1000)
        seen = [stage.log(rank).split()[-1] for rank in range(2)]
        assert all(text.isdigit() for text in seen), "one processor each"
    finally:
        stage.close()
