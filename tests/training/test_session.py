"""The same training with one worker, with three, and with a number that changes on the way."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
FAR = 10**6  # steps: until the epochs are done
SAME = 1e-5


def trained(*asked: dict[str, Any]) -> list[dict[str, Any]]:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
    done = subprocess.run(
        [sys.executable, "-m", "tests.training.crew", json.dumps(asked)],
        env=environment, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert isinstance(found, list)
    return found


def schedule(seed: int) -> list[list[int]]:
    """Change the number of workers at random steps, 1 to 4 of them."""
    rng = random.Random(seed)
    steps = sorted(rng.sample(range(1, 20), 3))
    return [*([rng.randint(1, 4), step] for step in steps), [rng.randint(1, 4), FAR]]


def apart(one: dict[str, Any], other: dict[str, Any]) -> float:
    pairs = zip(one["weights"], other["weights"], strict=True)
    return float(max(abs(a - b) for a, b in pairs))


@pytest.mark.slow
def test_any_number_of_workers_that_changes_or_not_gives_the_same_model() -> None:
    alone, *others = trained(
        {"batch": 32, "schedule": [[1, FAR]]},
        {"batch": 32, "schedule": [[3, FAR]]},
        {"batch": 32, "schedule": [[2, FAR]], "at_once": 3},
        *({"batch": 32, "schedule": schedule(seed)} for seed in range(4)),
    )
    assert alone["steps"] == 21  # 203 samples are 7 steps of at most 32, three times
    for other in others:
        assert apart(alone, other) < SAME
        assert other["samples"] == alone["samples"] == 3 * 203
        assert other["taken"] == alone["taken"] == sorted(3 * list(range(203)))


@pytest.mark.slow
def test_a_batch_that_grows_with_the_workers_takes_its_rate_along() -> None:
    fixed, linear, root, gain = trained(
        *(
            {"per_worker": 16, "base": 16, "rule": rule, "schedule": [[3, 6]]}
            for rule in ("fixed", "linear", "sqrt", "adascale")
        )
    )
    assert fixed["rate"] == pytest.approx(0.05)
    assert linear["rate"] == pytest.approx(0.15)
    assert root["rate"] == pytest.approx(0.05 * 3**0.5)
    assert 1.0 <= gain["factor"] <= 3.0


@pytest.mark.slow
def test_after_a_change_the_rate_goes_to_its_new_value_without_a_jump() -> None:
    before, after = trained(
        {"per_worker": 16, "base": 16, "rule": "linear", "schedule": [[1, 4]]},
        {"per_worker": 16, "base": 16, "rule": "linear", "schedule": [[1, 4], [3, 6]]},
    )
    assert before["factor"] == 1.0
    assert 1.0 < after["factor"] < 1.1  # two of the hundred steps that it takes
