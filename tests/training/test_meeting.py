"""Nobody sends a gradient before all have met; who has not come is named."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.training.network import Network, network

ROOT = Path(__file__).parents[2]
PORT = "29512"
pytestmark = pytest.mark.slow


def _begun(
    net: Network, place: int, deadline_s: float, environment: dict[str, str]
) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.training.meet", str(deadline_s)]
    return subprocess.Popen(
        [*net.inside(place), *command],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


@contextlib.contextmanager
def workers(net: Network, deadline_s: float) -> Iterator[list[subprocess.Popen[str]]]:
    """Start a worker in each place of the network."""
    common = {
        **os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", "WORLD_SIZE": str(len(net.places)),
        "MASTER_ADDR": net.address(0), "MASTER_PORT": PORT,
    }  # fmt: skip
    begun = [_begun(net, place, deadline_s, {**common, "RANK": str(place)}) for place in net.places]
    try:
        yield begun
    finally:
        for one in begun:
            one.kill()
            one.communicate()


def until(worker: subprocess.Popen[str], key: str) -> dict[str, Any]:
    """Read on until a line with this key."""
    assert worker.stdout is not None
    for line in worker.stdout:
        found = json.loads(line)
        if key in found:
            assert isinstance(found, dict)
            return found
    pytest.fail(f"it ended without a word of {key}")


def test_while_two_links_are_down_all_wait_and_when_they_are_up_all_add_up() -> None:
    with network(3) as net:
        net.up(0)
        with workers(net, deadline_s=60) as three:
            assert until(three[0], "note") == {"note": "waiting", "key": "workers", "value": [1, 2]}
            net.up(1, 2)
            up_at = time.time()
            met = [until(one, "met")["met"] for one in three]
            assert min(met) > up_at
            assert [until(one, "all")["all"] for one in three] == [[10.0, 11.0, 12.0]] * 3


def test_a_link_that_never_comes_up_is_given_up_by_all_and_named() -> None:
    with network(3) as net:
        net.up(0, 1)
        with workers(net, deadline_s=8) as three:
            assert "rank 2 did not come within 8 s" in until(three[0], "not_ready")["not_ready"]
            assert "rank 2 did not come" in until(three[1], "not_ready")["not_ready"]
            until(three[2], "not_ready")
            assert [one.wait(timeout=20) for one in three] == [1, 1, 1]
