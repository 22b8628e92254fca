"""What every executor does when an attempt goes on with more workers, or with fewer."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from makeway.failpoint import VARIABLE
from makeway.model import event as ev
from makeway.model.job import Program
from tests.conformance.stage import Stage, alive, eventually, script

# Writes who it is each time that it begins, and when it is told to leave; saves, and ends with 75.
TRUTH = """
mark() { echo "$1 $MAKEWAY_GENERATION $RANK $WORLD_SIZE $LOCAL_RANK $MASTER_PORT" >> $TRUTH/$RANK; }
trap 'mark leaves; cp $MAKEWAY_NOTICE $TRUTH/notice.$RANK; exit 75' TERM
mark begins
while [ ! -e $TRUTH/done ]; do sleep 0.02; done
"""


RESIZES = """
import sys
from pathlib import Path
from makeway.model.job import Program
from tests.conformance.stage import Stage
from tests.conformance.test_resize import TRUTH, begins, running
truth = Path(sys.argv[2])
stage = Stage(Path(sys.argv[1]))
program = Program(argv=("/bin/sh", "-c", TRUTH), environment={"TRUTH": str(truth)})
running(stage, program, 2)
begins(stage, truth, 0, range(2))
stage.resize(program, workers=3)
begins(stage, truth, 1, range(3))
"""


@pytest.fixture
def stage(store_dir: Path) -> Iterator[Stage]:
    made = Stage(store_dir)
    yield made
    made.close()


@pytest.fixture
def program(tmp_path: Path) -> Program:
    return Program(argv=("/bin/sh", "-c", TRUTH), environment={"TRUTH": str(tmp_path)})


def running(stage: Stage, program: Program, workers: int) -> None:
    """Bring an attempt to where its workers run."""
    stage.launch(program, workers=workers)
    for rank in range(workers):
        stage.ready(rank)
    stage.release()
    for rank in range(workers):
        stage.started(rank)


def begun(folder: Path, rank: int) -> list[list[str]]:
    """Who a rank was, each time that it began: generation, rank, world size, local rank, port."""
    file = folder / str(rank)
    lines = file.read_text().splitlines() if file.exists() else []
    return [line.split()[1:] for line in lines if line.startswith("begins")]


def begins(stage: Stage, folder: Path, generation: int, ranks: range) -> None:
    """Wait until these ranks run in this generation, and agree on where they meet."""

    def there() -> bool:
        stage.look(20)
        last = [begun(folder, rank)[-1:] for rank in ranks]
        return all(rows and rows[0][0] == str(generation + 1) for rows in last)

    assert eventually(there), [begun(folder, rank) for rank in ranks]
    assert len({begun(folder, rank)[-1][4] for rank in ranks}) == 1
    for rank in ranks:
        assert begun(folder, rank)[-1][1:4] == [str(rank), str(len(ranks)), str(rank)]


def exits(stage: Stage) -> list[int]:
    return [event.rank for event in stage.events if isinstance(event, ev.WorkerExited)]


def finish(stage: Stage, folder: Path, ranks: range) -> None:
    (folder / "done").touch()
    assert all(stage.exit(rank).good for rank in ranks)


def test_more_workers_join_and_those_that_were_there_begin_again(
    stage: Stage, program: Program, tmp_path: Path
) -> None:
    running(stage, program, 2)
    begins(stage, tmp_path, 0, range(2))
    stage.resize(program, workers=3)
    begins(stage, tmp_path, 1, range(3))
    assert exits(stage) == []
    assert [len(begun(tmp_path, rank)) for rank in range(3)] == [2, 2, 1]
    assert begun(tmp_path, 0)[0][4] != begun(tmp_path, 0)[1][4], "another place to meet"
    assert json.loads((tmp_path / "notice.0").read_text())["cause"] == "resize"
    finish(stage, tmp_path, range(3))


def test_fewer_workers_go_on_and_those_that_leave_are_told_of(
    stage: Stage, program: Program, tmp_path: Path
) -> None:
    running(stage, program, 3)
    begins(stage, tmp_path, 0, range(3))
    stage.resize(program, workers=1)
    assert (stage.exit(1).code, stage.exit(2).code) == (75, 75)
    begins(stage, tmp_path, 1, range(1))
    assert sorted(exits(stage)) == [1, 2]
    finish(stage, tmp_path, range(1))


def test_a_rank_that_left_can_be_another_worker_later(
    stage: Stage, program: Program, tmp_path: Path
) -> None:
    running(stage, program, 2)
    begins(stage, tmp_path, 0, range(2))
    stage.resize(program, workers=1)
    assert stage.exit(1).code == 75
    begins(stage, tmp_path, 1, range(1))
    stage.events.clear()
    stage.resize(program, workers=2, generation=2)
    begins(stage, tmp_path, 2, range(2))
    assert exits(stage) == []
    assert (stage.folder(1).parent / "1.0" / "exit.json").exists(), "what it left is kept"
    finish(stage, tmp_path, range(2))


def test_who_does_not_leave_in_time_is_killed_with_all_its_tree(
    stage: Stage, tmp_path: Path
) -> None:
    deaf = script(
        f"trap '' TERM; setsid sleep 60 & echo $! > {tmp_path}/child.$MAKEWAY_GENERATION;"
        f" echo $$ > {tmp_path}/pid.$MAKEWAY_GENERATION; sleep 60"
    )
    running(stage, deaf, 1)
    assert eventually((tmp_path / "pid.1").exists)
    stage.resize(deaf, workers=2, grace_ms=100)
    assert eventually(lambda: bool(stage.look(20)) and (tmp_path / "pid.2").exists())
    assert not alive(int((tmp_path / "pid.1").read_text()))
    assert not alive(int((tmp_path / "child.1").read_text()))
    assert exits(stage) == []


def test_the_same_resize_twice_begins_nothing_twice(
    stage: Stage, program: Program, tmp_path: Path
) -> None:
    running(stage, program, 1)
    begins(stage, tmp_path, 0, range(1))
    stage.resize(program, workers=2)
    stage.resize(program, workers=2)
    begins(stage, tmp_path, 1, range(2))
    stage.resize(program, workers=2)
    stage.look(300)
    assert [len(begun(tmp_path, rank)) for rank in range(2)] == [2, 1]
    finish(stage, tmp_path, range(2))


def test_a_resize_goes_on_after_a_restart_at_any_moment(
    stage: Stage, program: Program, tmp_path: Path
) -> None:
    running(stage, program, 2)
    begins(stage, tmp_path, 0, range(2))
    stage.resize(program, workers=3)
    for _ in range(4):  # cut off in the middle of it, again and again
        stage.restart()
        stage.launch(program, workers=3)
        stage.release_at("127.0.0.1", 1)
        stage.resize(program, workers=3)
        stage.look(60)
    begins(stage, tmp_path, 1, range(3))
    assert [len(begun(tmp_path, rank)) for rank in range(3)] == [2, 2, 1]
    finish(stage, tmp_path, range(3))


@pytest.mark.parametrize(
    "name",
    [
        "team.json.write",  # the generation begins
        "team.json.written",
        "launch.json.written:3",  # of the worker that joins
        "executor.fork.after:3",
        "team.json.write:2",  # all stand at the barrier
        "team.json.written:2",
    ],
)
def test_a_controller_that_dies_at_a_step_of_a_resize_is_followed_by_one_that_goes_on(
    store_dir: Path, program: Program, tmp_path: Path, name: str
) -> None:
    killed = subprocess.run(
        [sys.executable, "-c", RESIZES, str(store_dir), str(tmp_path)],
        env={**os.environ, VARIABLE: name},
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    stage = Stage(store_dir)
    try:
        stage.launch(program, workers=3)
        stage.release_at("127.0.0.1", 1)
        stage.resize(program, workers=3)
        begins(stage, tmp_path, 1, range(3))
        assert [len(begun(tmp_path, rank)) for rank in range(3)] == [2, 2, 1]
        finish(stage, tmp_path, range(3))
    finally:
        stage.close()


def test_before_the_attempt_was_let_go_nothing_has_to_stop(
    stage: Stage, program: Program, tmp_path: Path
) -> None:
    stage.launch(program, workers=2)
    stage.ready(0)
    stage.ready(1)
    stage.resize(program, workers=3)
    stage.ready(2)
    stage.release()
    begins(stage, tmp_path, 1, range(3))
    assert [len(begun(tmp_path, rank)) for rank in range(3)] == [1, 1, 1]
    finish(stage, tmp_path, range(3))


def test_a_program_that_is_done_when_it_is_told_has_ended_well(
    stage: Stage, tmp_path: Path
) -> None:
    last = script(f"trap 'exit 0' TERM; touch {tmp_path}/there; while :; do sleep 0.02; done")
    running(stage, last, 1)
    assert eventually((tmp_path / "there").exists)
    stage.resize(last, workers=2)
    assert stage.exit(0).good
    assert not stage.exit(1).started, "whoever was to join has nothing to do any more"


def test_a_stop_during_a_resize_ends_everybody(
    stage: Stage, program: Program, tmp_path: Path
) -> None:
    running(stage, program, 2)
    begins(stage, tmp_path, 0, range(2))
    stage.resize(program, workers=3)
    stage.stop(grace_ms=5_000)
    ends = [stage.exit(rank) for rank in range(3)]
    assert [end.code for end in ends[:2]] == [75, 75]
    assert not ends[2].started


def test_a_program_that_takes_it_as_it_runs_is_told_and_left_alone(
    stage: Stage, tmp_path: Path
) -> None:
    text = (
        f"trap 'touch {tmp_path}/signal' TERM;"
        f" echo $MAKEWAY_GENERATION > {tmp_path}/began.$RANK;"
        f" while [ ! -e {tmp_path}/done ]; do sleep 0.02; done"
    )
    live = Program(argv=("/bin/sh", "-c", text), environment={"MAKEWAY_ELASTIC": "live"})
    running(stage, live, 1)
    assert eventually((tmp_path / "began.0").exists)
    stage.resize(live, workers=2)
    told = stage.folder(0) / "resize.json"
    assert eventually(lambda: bool(stage.look(20)) and told.exists())
    now = json.loads(told.read_text())
    assert {name: now[name] for name in ("generation", "fence", "rank", "workers")} == {
        "generation": 2, "fence": 1, "rank": 0, "workers": 2,
    }  # fmt: skip
    assert now["port"] > 0
    assert json.loads((stage.folder(0) / "notice").read_text())["cause"] == "resize"
    assert eventually((tmp_path / "began.1").exists)
    assert (tmp_path / "began.1").read_text() == "2\n"
    assert (tmp_path / "began.0").read_text() == "1\n"
    assert not (tmp_path / "signal").exists()
    (tmp_path / "done").touch()
    assert stage.exit(0).good
    assert stage.exit(1).good
