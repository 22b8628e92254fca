"""Set the scene: who failed first, and whose failure only followed from that.

In a gang one worker fails and its peers fail for want of it, with errors that name a socket. So
the earliest *initiating* failure is blamed. A timeout of a collective and an order to leave start
nothing; a socket error does, if no other failure was there before it. A machine that is lost shows
late, when its lease is over, and goes before what it did to others.

Takes:   Incident
Gives:   Scene: the first death, those that followed, and whether the attempt still runs
Source:  the earliest error wins: PyTorch elastic, "multiprocessing/errors"
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import msgspec
from msgspec.structs import replace

from makeway.health.rules.signs import follows, is_collective, is_connection
from makeway.model.incident import Ended, Failure, Incident, NodeSeen
from makeway.model.ruling import LogPattern

SIGNALS = {1: "SIGHUP", 2: "SIGINT", 3: "SIGQUIT", 4: "SIGILL", 6: "SIGABRT", 7: "SIGBUS",
           8: "SIGFPE", 9: "SIGKILL", 11: "SIGSEGV", 13: "SIGPIPE", 15: "SIGTERM",
           24: "SIGXCPU"}  # fmt: skip
NEVER_RETRY, YIELDS = 93, 75
NO_RECORD = ("none", "older")
LOST_S = 15.0  # a lease is over
REASSIGNED_S = 20.0
# Orders to leave by which nothing is lost but time: whoever leaves is not at fault.
NOTICES = ("preempt", "shrink", "drain", "restart")
SAME_TIME_S = 1.0  # how far the clocks of two failures may be apart


class Death(msgspec.Struct, frozen=True, kw_only=True):
    """How one worker failed, or the attempt as a whole.

    signal    known to have ended it
    likely    the signal that an exit code speaks of (137, 247), which proves none
    """

    rank: int | None = None
    node: str | None = None
    at_s: float | None = None
    code: int | None = None
    signal: int | None = None
    likely: int | None = None
    error: Failure | None = None
    ended_ref: str = "ended"
    error_ref: str = "error"
    lost: bool = False
    vanished: str = ""
    early: bool = False
    record: str | None = None
    alone: bool = False

    @property
    def failed_itself(self) -> bool:
        """Say whether it says of itself that it failed, also where it was told to leave."""
        return self.code == NEVER_RETRY or (self.code == YIELDS and self.record in NO_RECORD)

    @property
    def by(self) -> int | None:
        """Give the signal that ended it, or probably did."""
        return self.signal if self.signal is not None else self.likely

    @property
    def who(self) -> str:
        """Name the worker at the beginning of a sentence."""
        return "" if self.rank is None or self.alone else f"rank {self.rank}: "

    @property
    def how(self) -> str:
        """Say how it ended."""
        if self.signal is not None:
            return f"ended by {SIGNALS.get(self.signal, f'signal {self.signal}')}"
        if self.code is None:
            return self.vanished or "it ended"
        return f"exit code {self.code}{' before its program began' if self.early else ''}"

    @property
    def how_ref(self) -> str:
        """Say where that stands."""
        key = "exit_code" if self.code is not None else "signal"
        return f"{self.ended_ref}.{key}"


class Scene(msgspec.Struct, frozen=True, kw_only=True):
    """An incident, with the first of its failures and those that followed.

    `patterns` are those that people have added to the table.
    """

    incident: Incident
    first: Death | None
    followed: tuple[Death, ...] = ()
    patterns: tuple[LogPattern, ...] = ()

    @property
    def running(self) -> bool:
        """Say whether the attempt still runs."""
        return self.first is None and self.incident.ended is None

    @property
    def ended_well(self) -> bool:
        """Say whether it ended, and nothing failed."""
        ended = self.incident.ended
        return self.first is None and ended is not None

    @property
    def node(self) -> str | None:
        """Name the machine of the first failure, if there is no doubt which that is."""
        if self.first is not None and self.first.node is not None:
            return self.first.node
        nodes = self.incident.nodes
        return nodes[0].name if len(nodes) == 1 else None


def scene_of(incident: Incident, patterns: tuple[LogPattern, ...] = ()) -> Scene:
    """Find out who failed first."""
    deaths = list(_deaths(incident))
    first = _first(incident, deaths, patterns)
    rest = tuple(one for one in deaths if one is not first) if first is not None else ()
    return Scene(incident=incident, first=first, followed=rest, patterns=patterns)


def is_lost(node: NodeSeen) -> bool:
    """Say whether a machine is gone: it is known to be, or its lease is over."""
    if node.alive is not None:
        return not node.alive
    return node.silent_for_s is not None and node.silent_for_s >= LOST_S


def node_of(incident: Incident, rank: int) -> str | None:
    """Name the machine of a worker."""
    found = next((one.node for one in incident.workers if one.rank == rank), None)
    if found is None and len(incident.nodes) == 1:
        return incident.nodes[0].name
    return found


def _deaths(incident: Incident) -> Iterator[Death]:
    whole, error = incident.ended, incident.error
    workers = False
    for at, worker in enumerate(incident.workers):
        own, ref = worker.error, f"workers[{at}].error"
        if own is None and error is not None and error.rank == worker.rank:
            own, ref = error, "error"
        ended = worker.ended
        if own is None and (ended is None or _well(ended)):
            continue
        workers = True
        death = _death(ended or Ended(), own)
        yield replace(
            death, rank=worker.rank, node=worker.node, error_ref=ref,
            ended_ref=f"workers[{at}].ended", alone=len(incident.workers) == 1,
        )  # fmt: skip
    listed = {worker.rank for worker in incident.workers}
    if error is not None and (error.rank is None or error.rank not in listed):
        if whole is None or not _well(whole) or workers:
            yield replace(_death(Ended() if workers else whole or Ended(), error), rank=error.rank)
    elif not workers and whole is not None and not _well(whole):
        yield _death(whole, None)


def _death(ended: Ended, error: Failure | None) -> Death:
    code, signal = ended.exit_code, ended.signal or None
    likely = None
    if code is not None and signal is None:
        if code < 0:
            signal = -code
        elif 128 < code < 160:
            likely = code - 128
        elif 240 < code < 256:  # a negative one, written as an unsigned byte
            likely = 256 - code
    instants = [ended.at_s, error.at_s if error is not None else None]
    known = [at for at in instants if at is not None]
    at_s = min(known, default=None)
    return Death(
        at_s=at_s, code=code, signal=signal, likely=likely, error=error, early=ended.early,
        vanished=ended.vanished or "", record=ended.record,
    )  # fmt: skip


def _well(ended: Ended) -> bool:
    return ended.exit_code == 0 and not ended.signal and not ended.early


def _first(incident: Incident, deaths: list[Death], patterns: Sequence[LogPattern]) -> Death | None:
    lost = _lost_worker(incident, deaths)
    if not deaths:
        return lost
    intent = incident.intent
    if intent is not None and intent.kind in NOTICES:
        themselves = sorted((one for one in deaths if one.failed_itself), key=_instant)
        if themselves:
            return themselves[0]
    guarded = intent is not None and intent.kind == "memory_guard"
    if guarded or (incident.kernel.oom_kill or 0) > 0:
        killed = sorted((one for one in deaths if one.by == 9), key=_instant)
        if killed:
            return killed[0]
    own: list[Death] = []
    sockets: list[Death] = []
    after: list[Death] = []
    for death in sorted(deaths, key=_instant):
        kind = _kind(death, patterns)
        (sockets if kind == "socket" else after if kind else own).append(death)
    if lost is not None and len(deaths) + len(incident.nodes) > 1:
        gone = [one for one in (*own, *sockets, *after) if one.node == lost.node]
        others = [one for one in own if one.node != lost.node and one.signal != 9]
        return (others or gone or [lost])[0]
    if own and sockets:
        early = _instant(sockets[0])[0] + SAME_TIME_S < _instant(own[0])[0]
        return sockets[0] if early else own[0]
    return (own or sockets or after)[0]


def _lost_worker(incident: Incident, deaths: list[Death]) -> Death | None:
    """Give the failure of a worker whose machine is lost, and which left no word of its own."""
    for node in incident.nodes:
        if not is_lost(node):
            continue
        ranks = [one.rank for one in incident.workers if one.node == node.name]
        said = [one for one in deaths if one.rank in ranks and one.error is not None]
        if not said:
            return Death(rank=min(ranks, default=None), node=node.name, lost=True)
    return None


def _kind(death: Death, patterns: Sequence[LogPattern]) -> str:
    """Say what starts nothing: `collective`, `ordered`, or `socket`, which may."""
    error = death.error
    if error is not None:
        if is_collective(error) or follows(error, patterns):
            return "collective"
        return "socket" if is_connection(error) else ""
    return "ordered" if death.by == 15 else ""


def _instant(death: Death) -> tuple[float, bool, int]:
    at_s = math.inf if death.at_s is None else death.at_s
    return at_s, death.by in (9, 15), -1 if death.rank is None else death.rank
