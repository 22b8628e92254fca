"""Break things, when and how a seed says.

Three places can break, and each is broken apart from the others: what becomes of a worker
(`troubled`), what is heard of it (`unreliable`), and the machines under it or the users above it
(`outages`, `changes_of_mind`). The fate of a worker depends on (seed, job, attempt, rank) and on
nothing else, so that a crash of the engine in between changes nobody's fate.

Rates are probabilities from 0 to 1. Every fault ends: messages arrive at last, machines come back,
and the trouble of a job stops after some attempts, so that a simulation can ask for progress.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random

import msgspec
from msgspec.structs import replace

from makeway.model import event as ev
from makeway.model.cluster import Node
from makeway.model.effect import LaunchWorkers
from makeway.model.record import ErrorRecord
from makeway.sim.bodies import Fate, Happening, NodeDied, NodeRevived, Post, Script

# How long the controller waits for a silent machine before it counts as lost.
LEASE_MS = 20_000

At = tuple[int, Happening]


class Rates(msgspec.Struct, frozen=True, kw_only=True):
    """How often a worker or a message is in trouble; `attempts` bounds the trouble of a job."""

    fails: float = 0.05
    never_ready: float = 0.01
    slow: float = 0.1
    stubborn: float = 0.1
    attempts: int = 3
    twice: float = 0.1
    late: float = 0.2
    late_ms: int = 5_000


ERRORS = (
    ErrorRecord(
        type="ConnectionResetError", message="reset", bases=("ConnectionError",), errno=104
    ),
    ErrorRecord(type="TimeoutError", message="timed out", bases=("TimeoutError", "OSError")),
    ErrorRecord(type="OSError", message="Input/output error", bases=("OSError",), errno=5),
    ErrorRecord(type="ValueError", message="loss is negative", bases=("ValueError",)),
    ErrorRecord(type="KeyError", message="'text'", bases=("KeyError", "LookupError")),
)


def troubled(script: Script, seed: int, rates: Rates) -> Script:
    """Let some workers fail, be slow, never get ready, or be slow to leave."""

    def fate(order: LaunchWorkers, rank: int) -> Fate:
        usual = script(order, rank)
        if order.number > rates.attempts:
            return usual
        rng = Random(f"{seed}/{order.job}/{order.number}/{rank}")
        if rng.random() < rates.slow:
            usual = replace(usual, ready_ms=rng.randint(0, order.spec.barrier_ms))
        if rng.random() < rates.stubborn:
            usual = replace(usual, exit_ms=rng.randint(0, 2 * order.spec.grace_ms))
        if rng.random() < rates.never_ready:
            usual = replace(usual, ready_ms=None)
        return _failing(rng, usual) if rng.random() < rates.fails else usual

    return fate


def unreliable(rng: Random, rates: Rates) -> Post:
    """Let messages come late, and so in another order than they were sent, or twice."""

    def post(_event: ev.Event) -> Sequence[int]:
        after_ms = rng.randint(1, rates.late_ms) if rng.random() < rates.late else 0
        if rng.random() < rates.twice:
            return after_ms, after_ms + rng.randint(0, 10 * rates.late_ms)
        return (after_ms,)

    return post


def outages(rng: Random, nodes: Sequence[Node], times: int, span_ms: int) -> Iterator[At]:
    """Let machines die, be missed when their lease is over, and come back.

    Some come back before anybody has missed them: then their agents tell who died.
    """
    free_at_ms = {node.name: 0 for node in nodes}
    for _ in range(times):
        node, at_ms = rng.choice(nodes), rng.randrange(span_ms)
        back_ms = at_ms + rng.randint(1, 4 * LEASE_MS)
        if at_ms <= free_at_ms[node.name]:
            continue  # it lies there already
        free_at_ms[node.name] = back_ms
        yield at_ms, NodeDied(node.name)
        missed = back_ms > at_ms + LEASE_MS
        if missed:
            yield at_ms + LEASE_MS, ev.NodeLost(name=node.name, text="its lease is over")
        yield back_ms, NodeRevived(node.name)
        if missed:
            yield back_ms, ev.NodeJoined(node=node)


def changes_of_mind(rng: Random, names: Sequence[str], times: int, span_ms: int) -> Iterator[At]:
    """Let users cancel jobs or runs at any time, sometimes twice, also such as have ended."""
    for name in rng.choices(names, k=times) if names else ():
        for _ in range(rng.randint(1, 2)):
            at_ms = rng.randrange(span_ms)
            if name.startswith("j"):
                yield at_ms, ev.JobCancelRequested(job=name, text="changed my mind")
            else:
                yield at_ms, ev.RunCancelRequested(run=name, text="changed my mind")


def _failing(rng: Random, usual: Fate) -> Fate:
    lasts_ms = rng.randint(0, usual.lasts_ms or 0)
    match rng.randrange(3):
        case 0:
            return replace(usual, lasts_ms=lasts_ms, code=rng.choice((1, 2, 93, 127, 137)))
        case 1:
            return replace(usual, lasts_ms=lasts_ms, code=None, signal=rng.choice((6, 9, 11, 15)))
        case _:
            return replace(usual, lasts_ms=lasts_ms, code=1, error=rng.choice(ERRORS))
