"""Whatever workers say of their ends and whoever looks at them: every sum holds, a replay agrees."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from makeway.model import event as ev
from makeway.model.incident import Checkpoint, InputSeen, Seen
from makeway.model.job import OnHopeless
from makeway.model.record import ErrorRecord, Yielded
from makeway.model.workflow import Goal
from tests import builders
from tests.engine.house import House
from tests.engine.replayed import believed

MB = 10**6
JOBS = ("a", "b", "c", "d")
NODES = ("n1", "n2", "n3")
ERRORS = ("ConnectionError", "MemoryError", "FileNotFoundError", "NameError", "Odd", "OSError")


def an_end(rng: Random, fence: int) -> dict[str, Any]:
    """Make up how a worker ends."""
    return rng.choice(
        (
            {"code": 0},
            {"code": rng.choice((1, 2, 93, 126, 137, 143, 247))},
            {
                "code": 75,
                "yielded": Yielded(fence=fence - rng.randint(0, 1), step=rng.randint(0, 9)),
            },
            {"signal": rng.choice((6, 9, 11, 15)), "step": rng.randint(0, 9)},
            {"signal": 9, "oom_kills": 1, "memory_peak_bytes": rng.randint(1, 300) * MB},
            {"signal": 9, "over_memory": True, "memory_peak_bytes": rng.randint(1, 300) * MB},
            {"lost": "its agent is silent"},
            {"code": 1, "error": ErrorRecord(type=rng.choice(ERRORS), message="no", errno=None)},
        )
    )


def a_look(rng: Random) -> Seen:
    """Make up what is seen of an attempt."""
    track = tuple(
        (float(at), rng.choice((rng.random(), None, 0.5))) for at in range(rng.randint(0, 9))
    )
    away = InputSeen(
        name="t", path="/t", producer=rng.choice((None, "m")), available=rng.random() < 0.5
    )
    return Seen(
        samples={rng.choice(("progress", "accuracy", "loss", "memory_mb")): track},
        available={"/t": ((0.0, 1.0), (1.0, float(rng.random() < 0.5)))},
        inputs=(away,) if rng.random() < 0.4 else (),
        checkpoint=Checkpoint(step=rng.randint(0, 9)) if rng.random() < 0.5 else Checkpoint(),
        log=("Killed", "CUDA error: an illegal memory access was encountered")[: rng.randint(0, 2)],
    )


def happens(house: House, rng: Random) -> None:
    """Let one thing happen."""
    state = house.engine.state
    job, node = rng.choice(JOBS), rng.choice(NODES)
    attempt = state.attempts.get(job)
    match rng.randrange(8):
        case 0:
            house.tell(ev.NodeLost(name=node))
        case 1:
            memory = rng.choice((200, 400, 800)) * MB
            house.tell(ev.NodeJoined(node=builders.node(node, cpus=4, memory=memory)))
        case 2:
            house.tell(ev.NodeDrained(name=node, evict=True))
        case 3:
            house.tell(ev.NodeUndrained(name=node), ev.DataFound(job=job))
        case 4:
            house.tell(ev.JobRetryRequested(job=job, text="now"))
        case _ if attempt is not None:
            if rng.random() < 0.5:
                number, fence = attempt.number, attempt.fence
                house.tell(ev.AttemptSeen(job=job, number=number, fence=fence, seen=a_look(rng)))
            if not any(worker.ready for worker in attempt.workers):
                house.go(job)
            ranks = [one.rank for one in house.attempt(job).workers if one.exit is None]
            for rank in ranks[: rng.randint(1, 3)]:
                if job in state.attempts and state.attempts[job].fence == attempt.fence:
                    house.tell(house.exited(job, rank, **an_end(rng, attempt.fence)))
        case _:
            house.pass_time(rng.choice((1_000, 20_000, 300_000)))


@pytest.mark.parametrize("seed", range(25))
def test_whatever_is_said_and_seen_the_state_holds_and_the_log_gives_it_again(seed: int) -> None:
    rng, house = Random(seed), House(*NODES[:2])
    for job in JOBS:
        group = builders.group(
            count=rng.randint(1, 2), most=2, cpus=1, memory=rng.choice((0, 50, 90)) * MB
        )
        house.submit(
            job, groups=(group,), retries=rng.randint(0, 3), idempotent=rng.random() < 0.8,
            goal=rng.choice((None, Goal("accuracy"))), on_hopeless=rng.choice([*OnHopeless]),
            min_rate=rng.choice((None, 0.0, 0.5)), max_memory_bytes=rng.choice((None, 300 * MB)),
        )  # fmt: skip
    for _ in range(60):
        happens(house, rng)
    lived = believed(house.engine.state, house.now_ms)
    house.restart()
    assert believed(house.engine.state, house.now_ms) == lived
