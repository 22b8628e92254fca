"""Measure a real process: what it uses, what it moves, and what is left around it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from makeway.executor.protocol import Launch
from makeway.model.job import Program, StepCall
from makeway.model.workflow import Constant, Stored
from makeway.store.blobs import Blobs
from makeway.worker.meter import Meter
from makeway.worker.values import encode


def launch_in(store: Path, program: Program, cpu_milli: int = 0) -> Launch:
    return Launch(
        job="j", number=1, fence=1, rank=0, workers=1, workers_min=1, workers_max=1, local_rank=0,
        local_workers=1, node="n", node_rank=0, nodes=1, address="", barrier_ms=0, sample_ms=1_000,
        program=program, run=None, step=None, store=str(store), controller="",
        memory_bytes=1 << 30, cpu_milli=cpu_milli,
    )  # fmt: skip


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that writes a megabyte for each line that it is told, and says so."""
    program = (
        "import sys\nfor line in sys.stdin:\n"
        f" open({str(tmp_path / 'out')!r}, 'ab').write(b'x' * 1_000_000)\n"
        " sum(range(10**6)); print('done', flush=True)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        yield process
        process.kill()


def write(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("go\n")
    process.stdin.flush()
    process.stdout.readline()


def test_what_a_process_uses_and_moves_is_told(
    writer: subprocess.Popen[str], tmp_path: Path
) -> None:
    write(writer)
    meter = Meter(launch_in(tmp_path, Program(argv=("x",)), cpu_milli=500), tmp_path)
    meter.begin(0)
    first = {one.name: one.value for one in meter.read([writer.pid], 1_000)}
    assert first["system/memory_usage_bytes"] > 1_000_000
    assert first["system/memory_usage_percentage"] == pytest.approx(
        first["system/memory_usage_bytes"] * 100 / (1 << 30), abs=0.1
    )
    assert first["system/threads"] == 1
    assert first["system/open_files"] >= 3
    assert first["system/disk_free_bytes"] > 0
    assert first["system/shm_free_bytes"] >= 0
    assert "system/cpu_percent" not in first  # of what span?
    write(writer)
    second = {one.name: one.value for one in meter.read([writer.pid], 2_000)}
    assert second["system/disk_write_bytes_per_second"] >= 1_000_000
    assert second["system/cpu_percent"] > 0
    assert second["system/cpu_utilization_percentage"] == pytest.approx(
        2 * second["system/cpu_percent"], abs=0.2
    )
    assert second["system/network_receive_bytes_per_second"] >= 0


def test_a_peak_between_two_readings_is_told_with_the_next(tmp_path: Path) -> None:
    meter = Meter(launch_in(tmp_path, Program(argv=("x",))), tmp_path)
    meter.seen(1 << 40)
    peaks = [
        {one.name: one.value for one in meter.read([os.getpid()], at_ms)}[
            "system/memory_peak_bytes"
        ]
        for at_ms in (1_000, 2_000)
    ]
    assert peaks[0] == float(1 << 40)
    assert peaks[1] < 1 << 40
    assert meter.peak_bytes == 1 << 40


def test_an_input_that_makeway_keeps_is_told_to_be_there_or_gone(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    output = encode([1, 2, 3], blobs)
    call = StepCall(
        file="flow.py", function="train", arguments={"data": Stored(output), "rate": Constant(1)}
    )
    meter = Meter(launch_in(tmp_path, Program(call=call)), tmp_path)
    there = {one.name: one.value for one in meter.read([os.getpid()], 1_000)}
    blobs.path(output.digest).unlink()
    gone = {one.name: one.value for one in meter.read([os.getpid()], 2_000)}
    assert (there["available/data"], gone["available/data"]) == (1.0, 0.0)
    assert "available/rate" not in there


def test_what_stays_as_it_was_is_told_every_tenth_time_and_losses_are_told(tmp_path: Path) -> None:
    meter = Meter(launch_in(tmp_path, Program(argv=("x",))), tmp_path)
    told = [one.name for at_ms in range(20) for one in meter.read([os.getpid()], at_ms * 1_000, 7)]
    assert told.count("system/dropped_samples") == 2
    assert told.count("system/memory_usage_bytes") == 20


def test_a_tree_that_has_ended_tells_nothing(tmp_path: Path) -> None:
    done = subprocess.Popen(["true"])
    done.wait()
    meter = Meter(launch_in(tmp_path, Program(argv=("x",))), tmp_path)
    assert meter.read([done.pid], 1_000) == []


def test_a_reading_costs_far_less_than_a_hundredth_of_a_second(tmp_path: Path) -> None:
    meter = Meter(launch_in(tmp_path, Program(argv=("x",))), tmp_path)
    meter.read([os.getpid()], 0)
    begun = time.process_time()
    for at_ms in range(1, 51):
        meter.read([os.getpid()], at_ms * 1_000)
    assert (time.process_time() - begun) / 50 < 0.01  # one a second: 1 % of a processor
