"""Record in real workers: heard while they run, and not lost when SIGTERM ends them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from makeway.model.job import Program
from tests.conformance.stage import Stage

pytestmark = pytest.mark.slow


@pytest.fixture
def stage(store_dir: Path) -> Iterator[Stage]:
    stage = Stage(store_dir)
    yield stage
    stage.close()


def python(text: str) -> Program:
    """A program that records."""
    begin = "import os, signal, sys, time\nimport makeway as mw\n"
    return Program(argv=(sys.executable, "-c", begin + dedent(text)))


def samples(stage: Stage, name: str) -> list[float]:
    return [s.value for r in stage.readings for s in r.samples if s.name == name]


def notes(stage: Stage) -> list[tuple[str, str, object]]:
    return [(note.kind, note.key, note.value) for r in stage.readings for note in r.notes]


def test_what_a_program_notes_is_heard_while_it_runs(stage: Stage, tmp_path: Path) -> None:
    stage.launch(
        python(f"""
            mw.set_tag("team", "vision")
            mw.log_param("rate", 0.1)
            while not os.path.exists("{tmp_path}/go"):
                time.sleep(0.01)
        """)
    )
    stage.ready()
    stage.release()
    stage.until_true(lambda: len(notes(stage)) == 2)
    assert notes(stage) == [("tag", "team", "vision"), ("param", "rate", 0.1)]
    (tmp_path / "go").touch()
    assert stage.exit().good


LOST = "for number in range(3):\n    mw.log_metric('loss', number)\n"
CALLS_OURS = """
old = signal.getsignal(15)
signal.signal(15, lambda *it: (old(*it), os._exit(7)))
"""
ENDS = "os.kill(os.getpid(), signal.SIGTERM)\ntime.sleep(60)\n"


@pytest.mark.parametrize(
    "before, after, code, number",
    [
        ("", "", None, 15),
        ("signal.signal(15, lambda *_: os._exit(7))", "", 7, None),
        ("", "signal.signal(15, lambda *_: sys.exit(7))", 7, None),
        ("", CALLS_OURS, 7, None),
        ("signal.signal(15, signal.SIG_IGN)\ntime.sleep = lambda _: None", "", 0, None),
    ],
    ids=["no handler", "one before", "one after", "one that calls ours", "ignored"],
)
def test_sigterm_loses_nothing_and_means_what_it_meant(
    stage: Stage, before: str, after: str, code: int | None, number: int | None
) -> None:
    (ended,) = stage.run(python(f"{before}\n{LOST}{after}\n{ENDS}"))
    assert (ended.code, ended.signal) == (code, number)
    assert samples(stage, "loss") == [0.0, 1.0, 2.0]


def test_sigterm_in_the_middle_of_recording_ends_the_program_and_loses_nothing(
    stage: Stage,
) -> None:
    program = python("""
        mw.log_metric("loss", 1.0)
        for place in range(10):
            child = os.fork()
            if child == 0:
                signal.setitimer(signal.ITIMER_VIRTUAL, 0.02 + place / 1000)
                signal.signal(signal.SIGVTALRM, lambda *_: os.kill(os.getpid(), signal.SIGTERM))
                for count in range(10**9):
                    mw.log_metric(f"loss/{place}", count)
            _, status = os.waitpid(child, 0)
            assert os.WTERMSIG(status) == signal.SIGTERM, status
    """)
    (ended,) = stage.run(program)
    assert ended.good, stage.log()
    for place in range(10):
        counted = samples(stage, f"loss/{place}")
        assert counted == list(range(len(counted)))
        assert len(counted) > 100


def test_a_forked_child_of_a_pool_tells_what_it_has(stage: Stage) -> None:
    program = python("""
        import multiprocessing as mp
        def load(rank):
            mw.log_metric(f"read/{rank}", rank)
            mw.set_tag(f"loader/{rank}", "here")
        mw.log_metric("loss", 1.0)
        loaders = [mp.get_context("fork").Process(target=load, args=(rank,)) for rank in range(2)]
        for one in loaders: one.start()
        for one in loaders: one.join()
    """)
    (ended,) = stage.run(program)
    assert ended.good, stage.log()
    assert samples(stage, "read/0") + samples(stage, "read/1") == [0.0, 1.0]
    assert sorted(key for _, key, _ in notes(stage)) == ["loader/0", "loader/1"]
