"""Name every order that the engine can give to the world, in the imperative.

Orders are carried out after the facts behind them are durable, and may be repeated after a crash:
each is keyed by (job, fence), and an executor that sees one again does nothing twice.
"""

from __future__ import annotations

import msgspec

from makeway.model.cluster import Allocation
from makeway.model.job import JobSpec


class Order(msgspec.Struct, frozen=True, kw_only=True, tag=True, tag_field="type"):
    """The base of every effect."""


class LaunchWorkers(Order, frozen=True):
    """PREPARE: make every worker of the attempt ready, and hold each at the barrier."""

    job: str
    number: int
    fence: int
    spec: JobSpec
    allocation: Allocation


class ReleaseWorkers(Order, frozen=True):
    """GO: let all workers run their program; they meet at this address."""

    job: str
    number: int
    fence: int
    address: str
    port: int


class StopWorkers(Order, frozen=True):
    """Tell the workers to leave; what is still there after the grace time is killed."""

    job: str
    number: int
    fence: int
    cause: str
    grace_ms: int


class ResizeWorkers(Order, frozen=True):
    """Let an elastic attempt go on with these workers: more at the end, or fewer from the end."""

    job: str
    number: int
    fence: int
    generation: int
    spec: JobSpec
    allocation: Allocation
    grace_ms: int


Effect = LaunchWorkers | ReleaseWorkers | StopWorkers | ResizeWorkers
