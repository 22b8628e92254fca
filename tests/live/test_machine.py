"""What this machine says of itself."""

from __future__ import annotations

import os

import pytest

from makeway.executor.gpus import gpu_count
from makeway.live.machine import this_machine


def test_it_has_processors_and_memory() -> None:
    capacity = this_machine().capacity
    assert capacity["cpu_milli"] == 1000 * len(os.sched_getaffinity(0))
    assert capacity["memory_bytes"] > 0


def test_gpus_are_those_that_are_found_or_those_that_a_setting_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,2,5")
    gpu_count.cache_clear()
    assert this_machine().capacity["gpu_milli"] == 3000
    assert this_machine(gpus=8).capacity["gpu_milli"] == 8000
    assert "gpu_milli" not in this_machine(gpus=0).capacity
    gpu_count.cache_clear()
