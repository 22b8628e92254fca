"""Drive the engine with the real world: the only loop.

    wait for what happens -> step -> append to the log -> carry out the orders

What is believed is durable before anything is done about it. A crash anywhere in between loses
nothing: on the way up the log is replayed, the orders behind everything that is under way are
given again, and the executor, which does nothing twice, finds the workers that went on meanwhile.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from makeway.engine.engine import Engine, Step, outstanding
from makeway.engine.state import State
from makeway.executor.base import Executor, Readings
from makeway.live.clock import Clock
from makeway.model.cluster import Node
from makeway.model.event import Entry, Event, NodeJoined, RulesConfigured
from makeway.model.rules import LIVE
from makeway.store.log import Log
from makeway.store.series import SeriesWriter

FLUSH_EVERY_MS = 100
IDLE_MS = 1_000


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """What one turn of the loop brought."""

    entries: Sequence[Entry]
    readings: Sequence[Readings]


class Controller:
    """The loop around one engine; see the module."""

    def __init__(
        self, engine: Engine, log: Log, series: SeriesWriter, executor: Executor, clock: Clock
    ) -> None:
        """Take the parts; `start` brings them to where the log ended."""
        self._engine, self._log, self._series = engine, log, series
        self._executor, self._clock = executor, clock
        self._wake_at_ms: int | None = None
        self._flush_at_ms: int | None = None

    @property
    def state(self) -> State:
        """Show what is believed now."""
        return self._engine.state

    def recover(self) -> None:
        """Rebuild what was believed: everything that was not finished when the log ended."""
        last = self._log.last()
        self._engine.replay(self._log.read_unfinished(), last)
        self._clock.not_before(self._log.last_at_ms())

    def start(self, node: Node) -> Sequence[Entry]:
        """Repeat the orders behind all that is under way, and let the machine join."""
        for effect in outstanding(self.state):
            self._executor.carry_out(effect)
        news: list[Event] = []
        if self.state.rules != LIVE:
            news.append(RulesConfigured(rules=LIVE))
        if self.state.nodes.get(node.name) != node:
            news.append(NodeJoined(node=node))
        return self._take(news).entries

    def submit(self, event: Event) -> Sequence[Entry]:
        """Take an event from a person."""
        return self._take([event]).entries

    def turn(self, timeout_ms: int = IDLE_MS) -> Turn:
        """Wait until something happens, at most so long, and do what follows from it."""
        observed = self._executor.observe(self._patience_ms(timeout_ms))
        now_ms = self._clock.now_ms()
        for readings in observed.readings:
            self._series.add(readings.job, readings.number, readings.rank, readings.samples)
            self._flush_at_ms = self._flush_at_ms or now_ms + FLUSH_EVERY_MS
        step = self._take(observed.events)
        if self._flush_at_ms is not None and now_ms >= self._flush_at_ms:
            self.flush()
        return Turn(entries=step.entries, readings=observed.readings)

    def flush(self) -> None:
        """Write the samples that are still in memory."""
        self._series.flush()
        self._flush_at_ms = None

    def _take(self, events: Sequence[Event]) -> Step:
        step = self._engine.step(events, self._clock.now_ms())
        if step.entries:
            self._log.append(step.entries)
        for effect in step.effects:
            self._executor.carry_out(effect)
        self._wake_at_ms = step.wake_at_ms
        return step

    def _patience_ms(self, timeout_ms: int) -> int:
        due = [at_ms for at_ms in (self._wake_at_ms, self._flush_at_ms) if at_ms is not None]
        if not due:
            return timeout_ms
        return max(0, min(timeout_ms, min(due) - self._clock.now_ms()))
