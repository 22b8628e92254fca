"""Record inside a worker: never in the way, nothing lost unless it is counted."""

from __future__ import annotations

import math
import os
import threading
import time
from enum import Enum, StrEnum
from fractions import Fraction
from pathlib import Path
from typing import Any

import msgspec
import pytest

import makeway as mw
from makeway.errors import InvalidInput
from makeway.model.record import Report
from makeway.worker import recorder
from makeway.worker.recorder import KEPT_MAX, Recorder
from tests.worker.listening import Agent


def report() -> Report:
    active = recorder.current()
    assert active is not None
    return active.report(None)


def written_down(value: Report) -> Report:
    """Take the way of every report: through JSON, checked."""
    return msgspec.json.decode(msgspec.json.encode(value), type=Report)


# ── outside ─────────────────────────────────────────────────────────────────────────────────────────


def test_outside_makeway_recording_does_nothing_and_never_complains(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("MAKEWAY_DIR", raising=False)
    recorder.forget()
    mistakes: list[Any] = [3, None, "a", math.nan, [1], object()]
    for wrong in mistakes:
        mw.log_metric("loss", wrong, step=wrong)
        mw.log_metrics(wrong)
        mw.log_param("rate", wrong)
        mw.log_params(wrong)
        mw.progress(wrong)
    mw.log_metric("", 1)
    assert recorder.current() is None


# ── what arrives ────────────────────────────────────────────────────────────────────────────────────


def test_a_sample_arrives_with_its_time_and_its_training_step(agent: Agent) -> None:
    before = time.time_ns() // 1_000_000
    mw.log_metric("loss", 0.5, step=7)
    mw.log_metric("loss", 0.25)
    first, second = agent.wait_for(2)
    assert (first.name, first.value, first.step) == ("loss", 0.5, 7)
    assert (second.value, second.step) == (0.25, None)
    assert before <= first.at_ms <= time.time_ns() // 1_000_000


def test_what_is_recorded_in_a_burst_arrives_without_another_call(agent: Agent) -> None:
    for step in range(2500):
        mw.log_metric("loss", step, step=step)
    assert [sample.step for sample in agent.wait_for(2500)] == list(range(2500))


def test_beyond_so_many_metrics_new_ones_are_left_out_and_that_is_said_once(
    agent: Agent, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(recorder, "SERIES_MAX", 3)
    for number in range(6):
        mw.log_metric(f"loss/{number}", number)
    mw.log_metric("loss/0", 10)
    assert [sample.name for sample in agent.wait_for(4)] == [
        *("loss/0", "loss/1", "loss/2", "loss/0"),
    ]
    said = capsys.readouterr().err.splitlines()
    assert [line[:44] for line in said] == ["makeway: more than 3 metrics of one worker; "]
    assert "'loss/3'" in said[0]
    assert written_down(report()).dropped == 3


def test_the_last_value_of_a_metric_is_final_if_it_is_a_number(agent: Agent) -> None:
    mw.log_metrics({"accuracy": 0.5, "loss": 1}, step=1)
    mw.log_metrics({"accuracy": 0.75, "loss": math.nan}, step=2)
    assert written_down(report()).metrics == {"accuracy": 0.75}
    assert [sample.value for sample in agent.wait_for(4)][:3] == [0.5, 1.0, 0.75]
    assert math.isnan(agent.samples[3].value)


class Temperature:
    def __float__(self) -> float:
        return 36.6


@pytest.mark.parametrize(
    "value, number",
    [(True, 1.0), (3, 3.0), (10**300, 1e300), (Fraction(1, 2), 0.5), (Temperature(), 36.6)],
)
def test_whatever_python_can_make_a_float_of_is_a_number(
    agent: Agent, value: Any, number: float
) -> None:
    mw.log_metric("m", value)
    assert agent.wait_for(1)[0].value == number


class Mute:
    def __float__(self) -> float:
        raise RuntimeError

    def __repr__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize("value", ["3", None, [1], {}, 1j, b"1", 10**400, object(), Mute()])
def test_a_value_that_is_no_number_is_told_to_whoever_gave_it(agent: Agent, value: Any) -> None:
    with pytest.raises(InvalidInput, match="which is not a number"):
        mw.log_metric("loss", value)
    with pytest.raises(InvalidInput, match="which is not a number"):
        mw.progress(value)
    assert written_down(report()).metrics == {}


@pytest.mark.parametrize("step", ["3", 1.5, [1], 2**63, -(2**63) - 1])
def test_a_training_step_is_a_whole_number(agent: Agent, step: Any) -> None:
    with pytest.raises(InvalidInput, match="step "):
        mw.log_metric("loss", 1, step=step)
    assert report().metrics == {}


@pytest.mark.parametrize("name", ["", "n" * 251, "n" * 10_000, 3, None, b"loss"])
def test_a_name_is_short_text(agent: Agent, name: Any) -> None:
    records: list[Any] = [mw.log_metric, mw.log_param]
    for record in records:
        with pytest.raises(InvalidInput, match="a name has 1 to 250 characters") as caught:
            record(name, 1)
        assert len(str(caught.value)) < 200


def test_names_that_are_not_unicode_are_kept_readable(agent: Agent) -> None:
    mw.log_metric("loss\ud800", 1)
    mw.log_param("file\ud800", "a\ud800")
    assert agent.wait_for(1)[0].name == "loss\\ud800"
    assert written_down(report()).params == {"file\\ud800": "a\\ud800"}


def test_what_is_told_of_another_worker_says_so_and_is_no_final_value(agent: Agent) -> None:
    mw.log_metric("rtt_ms", 4.0, worker=3)
    mw.log_metric("rtt_ms", 5.0, step=1)
    theirs, own = agent.wait_for(2)
    assert (theirs.worker, own.worker) == (3, None)
    assert report().metrics == {"rtt_ms": 5.0}
    wrong: list[Any] = [-1, True, 1.5, "0", 10**9]
    for worker in wrong:
        with pytest.raises(InvalidInput, match="worker is a rank"):
            mw.log_metric("rtt_ms", 1.0, worker=worker)


def test_long_names_arrive_too(agent: Agent) -> None:
    for number in range(3000):
        mw.log_metric("ä" * 240 + str(number), number)
    assert len(agent.wait_for(3000)) == 3000


@pytest.mark.parametrize(
    "done, total, part",
    [
        (3, 10, 0.3), (0.5, 1.0, 0.5), (11, 10, 1.0), (-1, 10, 0.0), (1, 0, 0.0), (1, -1, 0.0),
        (math.nan, 1, 0.0), (1, math.nan, 0.0), (math.inf, math.inf, 0.0), (1e308, 1e-308, 1.0),
    ],
)  # fmt: skip
def test_progress_is_a_part_of_the_whole(
    agent: Agent, done: float, total: float, part: float
) -> None:
    mw.progress(done, total)
    assert (agent.wait_for(1)[0].name, agent.samples[0].value) == ("progress", part)


# ── parameters ──────────────────────────────────────────────────────────────────────────────────────


class Kind(Enum):
    A = 1


class Word(StrEnum):
    YES = "yes"


class Number(float):
    pass


@pytest.mark.parametrize(
    "value, kept",
    [
        (True, True), (None, None), (3, 3), (2**63, str(2**63)), (10**5000, "<int>"), (0.1, 0.1),
        (Number(0.5), 0.5), (math.nan, "nan"), (-math.inf, "-inf"), ("a", "a"), (Word.YES, "yes"),
        (Kind.A, "<Kind.A: 1>"), ([1, "a"], "[1, 'a']"), ("x" * 9000, "x" * 8000), (Mute(), "<Mute>"),
    ],
    ids=range(15),
)  # fmt: skip
def test_a_parameter_is_kept_as_json_has_it_or_as_text(
    agent: Agent, value: object, kept: object
) -> None:
    mw.log_params({"p": value})
    params = written_down(report()).params
    assert params == {"p": kept}
    assert type(params["p"]) is type(kept)


@pytest.mark.parametrize("values", [3, None, ["a"], "ab"])
def test_several_values_come_in_a_dict(agent: Agent, values: Any) -> None:
    for record in (mw.log_metrics, mw.log_params):
        with pytest.raises(InvalidInput, match="a dict of names and values is wanted"):
            record(values)


# ── never in the way ────────────────────────────────────────────────────────────────────────────────


def test_nobody_reads_and_nobody_waits(agent: Agent) -> None:
    active = recorder.current()
    assert active is not None
    started = time.monotonic()
    count = KEPT_MAX + 50_000
    for step in range(count):
        active.sample("loss", 1.0, step)
    assert time.monotonic() - started < 5
    assert len(active._kept) <= KEPT_MAX
    # All of them are waiting, on their way, or counted; what went is the oldest.
    on_its_way = count - len(active._kept) - active.dropped
    assert 0 <= on_its_way < 50_000
    assert active._kept[-1].step == count - 1
    assert len(agent.wait_for(on_its_way)) >= on_its_way


def test_what_an_agent_did_not_take_is_counted_in_the_report(
    agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "LAST_WORDS_S", 0.05)
    count = 2_000_000 // 10
    for step in range(count):
        mw.log_metric("loss", 1.0, step)
    dropped = report().dropped
    assert dropped > 0
    assert dropped + len(agent.read()) == count


def test_the_end_of_a_step_waits_for_an_agent_that_is_only_slow(agent: Agent) -> None:
    def read_slowly() -> None:
        while len(agent.samples) < 50_000:
            time.sleep(0.05)
            agent.read()

    for step in range(50_000):
        mw.log_metric("loss", 1.0, step)
    thread = threading.Thread(target=read_slowly)
    thread.start()
    assert report().dropped == 0
    thread.join(timeout=10)
    assert [sample.step for sample in agent.samples] == list(range(50_000))


def test_an_agent_that_is_gone_is_not_waited_for(agent: Agent) -> None:
    mw.log_metric("loss", 1.0)
    agent.link.close()
    started = time.monotonic()
    for _ in range(1000):
        mw.log_metric("loss", 1.0)
    time.sleep(0.15)
    mw.log_metric("loss", 1.0)
    assert report().dropped >= 1000
    assert time.monotonic() - started < 2


def test_a_folder_without_an_agent_records_nothing(tmp_path: Path) -> None:
    lonely = Recorder(tmp_path / "nowhere")
    for _ in range(10):
        lonely.metric("loss", 1.0, None)
    assert lonely.report(None).dropped == 10
    assert lonely.report(None).metrics == {"loss": 1.0}


def test_threads_record_side_by_side_from_the_very_first_call(agent: Agent) -> None:
    begin = threading.Barrier(8)

    def work(number: int) -> None:
        begin.wait()
        for step in range(500):
            mw.log_metric(f"loss-{number}", step, step=step)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    samples = agent.wait_for(4000)
    for number in range(8):
        steps = [sample.step for sample in samples if sample.name == f"loss-{number}"]
        assert steps == list(range(500))


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_a_forked_child_records_for_itself_and_repeats_nothing(agent: Agent) -> None:
    for step in range(100):
        mw.log_metric("parent", step)
    child = os.fork()
    if child == 0:
        for step in range(100):
            mw.log_metric("child", step)
        active = recorder.current()
        assert active is not None
        active.flush(1)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    agent.wait_for(200)
    time.sleep(0.2)
    names = [sample.name for sample in agent.read()]
    assert (names.count("parent"), names.count("child")) == (100, 100)
    assert set(report().metrics) == {"parent"}


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_a_child_of_multiprocessing_sends_its_last_samples(agent: Agent) -> None:
    import multiprocessing

    def work() -> None:
        mw.log_metric("child", 1)
        mw.log_metric("child", 2)

    mw.log_metric("parent", 1)
    child = multiprocessing.get_context("fork").Process(target=work)
    child.start()
    child.join()
    names = [sample.name for sample in agent.wait_for(3)]
    assert sorted(names) == ["child", "child", "parent"]
