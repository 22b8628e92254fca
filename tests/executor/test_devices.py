"""Who gets which GPU of which node."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from makeway.executor.devices import WHOLE, Devices
from makeway.executor.gpus import gpu_count, named, visible


def test_whole_devices_are_nobody_elses() -> None:
    devices = Devices(4)
    assert devices.take("a", "n", 2000) == (0, 1)
    assert devices.take("b", "n", 1000) == (2,)
    assert devices.take("c", "n", 1000) == (3,)


def test_parts_share_a_device_before_another_is_begun() -> None:
    devices = Devices(4)
    assert devices.take("a", "n", 500) == (0,)
    assert devices.take("b", "n", 1000) == (1,)
    assert devices.take("c", "n", 500) == (0,)
    assert devices.take("d", "n", 100) == (2,)


def test_one_and_a_half_are_one_alone_and_half_of_another() -> None:
    devices = Devices(2)
    assert devices.take("a", "n", 1500) == (0, 1)
    assert devices.take("b", "n", 500) == (1,)


def test_who_asks_again_gets_the_same() -> None:
    devices = Devices(2)
    assert devices.take("a", "n", 1000) == devices.take("a", "n", 1000) == (0,)


def test_what_was_given_back_is_given_out_again() -> None:
    devices = Devices(2)
    devices.take("a", "n", 1000)
    devices.take("b", "n", 1000)
    devices.give_back("a")
    devices.give_back("never seen")
    assert devices.take("c", "n", 1000) == (0,)


def test_each_node_counts_its_own() -> None:
    devices = Devices({"n1": 1, "n2": 2})
    assert devices.take("a", "n1", 1000) == (0,)
    assert devices.take("b", "n2", 2000) == (0, 1)
    assert devices.take("c", "n3", 1000) == ()


def test_what_was_held_before_a_restart_is_held_after_it() -> None:
    devices = Devices(3)
    devices.hold("a", "n", (0, 1), 1500)
    assert devices.take("b", "n", 500) == (1,)
    assert devices.take("c", "n", 1000) == (2,)


@given(st.lists(st.tuples(st.sampled_from([100, 250, 500, 1000, 2000]), st.booleans())))
def test_no_device_is_ever_given_out_beyond_what_it_is(steps: list[tuple[int, bool]]) -> None:
    devices, held = Devices(4), dict[str, tuple[tuple[int, ...], int]]()
    for number, (amount, leave) in enumerate(steps):
        if leave and held:
            devices.give_back(name := next(iter(held)))
            del held[name]
            continue
        used = [0] * 4
        for given_out, each in held.values():
            for device in given_out:
                used[device] += min(each, WHOLE)
        room = sum(WHOLE - part >= min(amount, WHOLE) for part in used)
        if room * WHOLE < amount and not (amount < WHOLE and room):
            continue  # the policy would not have placed it here
        mine = devices.take(str(number), "n", amount)
        held[str(number)] = (mine, amount)
        for device in mine:
            assert used[device] + min(amount, WHOLE) <= WHOLE


@pytest.mark.parametrize(
    "text, seen",
    [("0,1", ("0", "1")), ("GPU-a, 3", ("GPU-a", "3")), ("", ()), ("-1", ()), ("2,-1,3", ("2",))],
)
def test_a_controller_that_may_see_some_gives_out_those(text: str, seen: tuple[str, ...]) -> None:
    assert visible({"CUDA_VISIBLE_DEVICES": text}) == seen
    assert named(range(5), {"CUDA_VISIBLE_DEVICES": text}) == ",".join(seen)


def test_a_controller_that_may_see_all_gives_out_numbers() -> None:
    assert visible({}) is None
    assert named((1, 2), {}) == "1,2"


def test_a_machine_without_a_driver_has_no_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert gpu_count(tmp_path) == 0
