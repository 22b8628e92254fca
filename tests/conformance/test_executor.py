"""What every executor does with orders: with processes of this machine, and on the nodes of Ray."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from pathlib import Path

import pytest

from makeway.executor.base import Observed
from makeway.executor.folder import try_lock
from makeway.model import event as ev
from makeway.model.job import Program
from tests.conformance.stage import Stage, alive, eventually, pids_in, script

# ── from PREPARE to the end ───────────────────────────────────────────────────────────────────────


def test_a_worker_is_ready_then_started_then_ended(stage: Stage) -> None:
    (ended,) = stage.run(script("echo hello; exit 0"))
    kinds = [type(event) for event in stage.events]
    assert kinds == [ev.WorkerReady, ev.WorkerStarted, ev.WorkerExited]
    assert ended.good
    assert stage.log() == "hello\n"


def test_nothing_of_the_users_runs_before_go(stage: Stage, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    stage.launch(script(f"touch {mark}"))
    stage.ready()
    stage.look(300)
    assert not mark.exists()
    stage.release()
    assert stage.exit().good
    assert mark.exists()


def test_exit_codes_and_signals_are_told_apart(stage: Stage) -> None:
    assert stage.run(script("exit 7"))[0].code == 7
    stage.launch(script("kill -SEGV $$"), job="k")
    stage.ready(job="k")
    stage.release(job="k")
    ended = stage.exit(job="k")
    assert (ended.code, ended.signal) == (None, signal.SIGSEGV)


def test_every_worker_gets_torchruns_environment(stage: Stage) -> None:
    ends = stage.run(script("env | sort"), workers=2)
    assert all(end.good for end in ends)
    one = dict(line.split("=", 1) for line in stage.log(1).splitlines() if "=" in line)
    expected = {
        "RANK": "1", "LOCAL_RANK": "1", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2",
        "GROUP_RANK": "0", "GROUP_WORLD_SIZE": "1", "ROLE_NAME": "default", "ROLE_RANK": "1",
        "ROLE_WORLD_SIZE": "2", "MASTER_ADDR": stage.address, "TORCHELASTIC_RESTART_COUNT": "0",
        "TORCHELASTIC_MAX_RESTARTS": "0", "TORCHELASTIC_USE_AGENT_STORE": "False",
        "TORCHELASTIC_RUN_ID": "j", "TORCH_NCCL_ASYNC_ERROR_HANDLING": "1", "OMP_NUM_THREADS": "1",
        "MAKEWAY_JOB": "j", "MAKEWAY_ATTEMPT": "1", "MAKEWAY_FENCE": "1",
        "MAKEWAY_GENERATION": "1", "MAKEWAY_GEN": "1", "MAKEWAY_MIN": "1", "MAKEWAY_MAX": "8",
    }  # fmt: skip
    assert {name: one.get(name) for name in expected} == expected
    assert {"TORCHELASTIC_ERROR_FILE", "TORCHELASTIC_SIGNALS_TO_HANDLE", "MAKEWAY_DIR",
            "MAKEWAY_NOTICE", "MAKEWAY_CHECKPOINT"} <= set(one)  # fmt: skip
    zero = dict(line.split("=", 1) for line in stage.log(0).splitlines() if "=" in line)
    assert zero["MASTER_PORT"] == one["MASTER_PORT"]


def test_the_meeting_port_is_held_against_strangers(stage: Stage) -> None:
    stage.launch(script("sleep 5"), workers=2)
    port = stage.ready(0).port
    stage.ready(1)
    with socket.socket() as stranger, pytest.raises(OSError, match="in use"):
        stranger.bind((stage.address, port))
    with socket.socket() as program:  # as rank 0's own listener does
        program.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        program.bind((stage.address, port))
        program.listen()


def test_memory_and_processor_time_of_the_tree_are_sampled(stage: Stage) -> None:
    hungry = "import time; x = b'x' * (80 << 20); time.sleep(0.7); sum(range(10**6))"
    (ended,) = stage.run(Program(argv=("python3", "-c", hungry)))
    names = {sample.name for reading in stage.readings for sample in reading.samples}
    assert {"system/memory_usage_bytes", "system/cpu_percent"} <= names
    assert ended.memory_peak_bytes > 80 << 20
    assert ended.cpu_ms > 0


def test_whoever_waits_for_news_can_be_woken_from_another_thread(stage: Stage) -> None:
    stage.look()  # at the machines, where the executor finds them
    begun = time.monotonic()
    bell = threading.Timer(0.1, stage.executor.wake)
    bell.start()
    assert stage.executor.observe(20_000) == Observed(events=[], readings=[])
    assert time.monotonic() - begun < 10
    bell.join()


def test_a_call_that_comes_before_the_wait_is_not_lost_and_comes_once(stage: Stage) -> None:
    stage.look()
    stage.executor.wake()
    stage.executor.wake()
    begun = time.monotonic()
    stage.executor.observe(20_000)
    assert time.monotonic() - begun < 10
    begun = time.monotonic()
    stage.executor.observe(100)
    assert time.monotonic() - begun >= 0.09


def test_waking_what_is_closed_does_nothing(stage: Stage) -> None:
    stage.restart()
    before = stage.executor
    stage.restart()
    before.wake()


# ── what cannot start ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "program, words",
    [
        (Program(argv=("no-such-program",)), "no-such-program"),
        (Program(argv=("true",), directory="/no/such/folder"), "/no/such/folder"),
    ],
)
def test_what_cannot_start_says_why_and_has_run_nothing(
    stage: Stage, program: Program, words: str
) -> None:
    stage.launch(program)
    ended = stage.exit()
    assert not ended.started
    assert ended.error is not None
    assert words in ended.error.message


def test_a_barrier_called_off_runs_nothing(stage: Stage, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    stage.launch(script(f"touch {mark}"), workers=2)
    stage.ready(0)
    stage.ready(1)
    stage.stop(grace_ms=0, cause="barrier")
    assert not stage.exit(0).started
    assert not stage.exit(1).started
    assert not mark.exists()


# ── leaving ───────────────────────────────────────────────────────────────────────────────────────


def test_notice_comes_before_the_kill(stage: Stage) -> None:
    stage.launch(script("trap 'cat $MAKEWAY_NOTICE; exit 75' TERM; while :; do sleep 0.05; done"))
    stage.ready()
    stage.release()
    stage.started()
    stage.look(300)
    stage.stop(grace_ms=10_000)
    assert stage.exit().code == 75
    assert '"cause":"cancel"' in stage.log()


def test_after_the_grace_time_everything_is_killed(stage: Stage, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    deaf = "trap '' TERM; while :; do sleep 0.1; done"
    stage.launch(
        script(
            f"echo $$ > {pids}; sh -c '{deaf}' & echo $! >> {pids};"
            f' setsid sh -c "{deaf}" & echo $! >> {pids};'
            f" sh -c 'setsid sh -c \"echo \\$\\$ >> {pids}; {deaf}\" &'; {deaf}"
        )
    )
    stage.ready()
    stage.release()
    stage.started()
    assert eventually(lambda: pids.exists() and len(list(pids_in(pids))) == 4)
    assert all(alive(pid) for pid in pids_in(pids))
    stage.stop(grace_ms=200)
    assert stage.exit().signal == signal.SIGKILL
    assert not any(alive(pid) for pid in pids_in(pids))


def test_children_left_behind_by_a_program_that_ended_are_ended(
    stage: Stage, tmp_path: Path
) -> None:
    pids = tmp_path / "pids"
    stage.run(script(f"setsid sleep 60 & echo $! > {pids}; (sleep 60 & echo $! >> {pids})"))
    assert len(list(pids_in(pids))) == 2
    assert not any(alive(pid) for pid in pids_in(pids))


# ── twice, cut off, killed ────────────────────────────────────────────────────────────────────────


def test_the_same_order_twice_starts_nothing_twice(stage: Stage, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    program = script(f"echo run >> {runs}; sleep 0.5")
    stage.launch(program)
    stage.ready()
    stage.release()
    stage.started()
    stage.launch(program)
    stage.release()
    assert stage.exit().good
    assert runs.read_text() == "run\n"


def test_a_new_executor_adopts_what_still_runs(stage: Stage, tmp_path: Path) -> None:
    go = tmp_path / "go"
    program = script(f"echo begun; while [ ! -e {go} ]; do sleep 0.02; done; echo done")
    stage.launch(program)
    stage.ready()
    stage.release()
    pid = stage.started().pid
    stage.restart()
    stage.launch(program)
    assert stage.started().pid == pid
    go.touch()
    assert stage.exit().good
    assert stage.log() == "begun\ndone\n"


def test_a_new_executor_learns_how_a_worker_ended_meanwhile(stage: Stage) -> None:
    program = script("exit 3")
    stage.launch(program)
    stage.ready()
    stage.release()
    assert eventually((stage.folder() / "exit.json").exists)
    stage.restart()
    stage.launch(program)
    assert stage.exit().code == 3


def test_samples_that_nobody_took_are_not_lost(stage: Stage, tmp_path: Path) -> None:
    go = tmp_path / "go"
    program = script(f"while [ ! -e {go} ]; do sleep 0.02; done; sleep 0.5")
    stage.launch(program)
    stage.ready()
    stage.release()
    stage.started()
    stage.executor.close()
    go.touch()
    assert eventually((stage.folder() / "exit.json").exists)
    stage.restart()
    stage.launch(program)
    assert stage.exit().good
    assert any(reading.samples for reading in stage.readings)


def test_the_lock_says_whether_a_worker_lives(stage: Stage) -> None:
    stage.launch(script("sleep 30"))
    stage.ready()
    stage.release()
    stage.started()
    assert try_lock(stage.folder()) is None
    stage.stop(grace_ms=0)
    stage.exit()
    assert eventually(lambda: _is_free(stage.folder()))


def _is_free(folder: Path) -> bool:
    lock = try_lock(folder)
    if lock is not None:
        os.close(lock)
    return lock is not None


def test_a_killed_agent_takes_its_worker_along(stage: Stage, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    stage.launch(script(f"echo $$ > {pids}; setsid sleep 60 & echo $! >> {pids}; sleep 60"))
    stage.ready()
    stage.release()
    stage.started()
    assert eventually(lambda: pids.exists() and len(list(pids_in(pids))) == 2)
    os.kill(stage.agent(), signal.SIGKILL)
    ended = stage.exit()
    assert ended.lost is not None
    assert ended.started
    assert not any(alive(pid) for pid in pids_in(pids))


def test_an_agent_that_does_not_answer_is_killed(stage: Stage) -> None:
    stage.launch(script("sleep 60"))
    stage.ready()
    stage.release()
    worker = stage.started().pid
    os.kill(stage.agent(), signal.SIGSTOP)
    stage.stop(grace_ms=0)
    assert stage.exit().lost is not None
    assert not alive(worker)


@pytest.mark.parametrize("stage", ["local"], indirect=True)
def test_a_killed_zygote_is_replaced(stage: Stage) -> None:
    os.kill(stage.zygote._process.pid, signal.SIGKILL)
    assert stage.run(script("exit 0"))[0].good
