"""Say what the cluster is like: queues, nodes, the policy in force, the service itself."""

from __future__ import annotations

import msgspec

from makeway.wire.amounts import Amounts


class QueueView(msgspec.Struct, frozen=True, kw_only=True):
    """The four numbers of a queue; `share` is a fraction of the whole cluster."""

    path: str
    share: float
    share_of: Amounts
    due: Amounts
    usage: Amounts
    demand: Amounts
    weight: float = 1.0
    running: int = 0
    queued: int = 0


class NodeView(msgspec.Struct, frozen=True, kw_only=True):
    """A machine: `state` is ready, draining, drained or lost; `jobs` are those that run on it."""

    name: str
    state: str
    capacity: Amounts
    free: Amounts
    labels: dict[str, str] = {}
    jobs: tuple[str, ...] = ()
    text: str = ""


class StatusView(msgspec.Struct, frozen=True, kw_only=True):
    """The service as a whole."""

    version: str
    pid: int
    url: str
    store: str
    database: str
    since_s: float
    last_event: int
    nodes: int
    running: int
    queued: int
    capacity: Amounts
    usage: Amounts
    user: str
    scopes: tuple[str, ...]
    storing: bool = True
    text: str = ""


class PreviewView(msgspec.Struct, frozen=True, kw_only=True):
    """What would change if a policy file were applied: every line a sentence."""

    changes: tuple[str, ...] = ()
    starts: tuple[str, ...] = ()
    evictions: tuple[str, ...] = ()
    resizes: tuple[str, ...] = ()
    shares: tuple[str, ...] = ()
    applied: bool = False


class PolicyView(msgspec.Struct, frozen=True, kw_only=True):
    """The policy and the queues in force, as a file that can be applied again."""

    policy: dict[str, object]
    queues: tuple[dict[str, object], ...]


class DecisionView(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the history of decisions: who evicted whom, by which rule, at what cost."""

    seq: int
    at_s: float
    kind: str
    job: str
    beneficiary: str | None = None
    rule: str | None = None
    text: str = ""
    lost_worker_s: float = 0.0
    cause: str | None = None


class Drain(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a node is drained: `evict` sends away what runs there, else it may end in peace."""

    evict: bool = False
    text: str = ""
