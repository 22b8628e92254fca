"""Drive the engine with the real world: the only loop.

    wait for what happens -> step -> append to the log -> carry out the orders

What is believed is durable before anything is done about it. A crash anywhere in between loses
nothing: on the way up the log is replayed, the orders behind everything that is under way are
given again, and the executor, which does nothing twice, finds the workers that went on meanwhile.

People come through the inbox, from other threads; what they bring is believed in the same step as
what the workers say. While the store cannot be written the loop only keeps what it hears: new
orders of people are refused, and those that were just being written are withdrawn.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence

import msgspec

from makeway.engine.engine import Engine, Step, awaited, outstanding
from makeway.engine.state import State
from makeway.errors import Unavailable
from makeway.executor.base import Executor, Readings, of_each
from makeway.failpoint import reach
from makeway.live.clock import Clock
from makeway.live.holders import Holders
from makeway.live.inbox import Inbox, Order, Recording, Told
from makeway.live.journal import AGAIN_MS, Journal
from makeway.live.probe import Probe
from makeway.live.upkeep import Upkeep
from makeway.live.watch import Lookout, keep_diagnoses
from makeway.live.witness import Witness
from makeway.model.cluster import Node
from makeway.model.effect import Effect
from makeway.model.event import (
    Entry,
    Event,
    JobCancelRequested,
    JobFinished,
    JobSubmitted,
    NodeJoined,
    RulesConfigured,
    RunCancelRequested,
    RunSubmitted,
)
from makeway.model.rules import LIVE, Rules
from makeway.store.idempotency import Write
from makeway.store.log import Damage, Log
from makeway.store.notes import NoteWriter
from makeway.store.series_writer import SeriesWriter

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
        self._journal = Journal(log)
        self._noted = NoteWriter(series.database)
        self._kept: list[Event] = []  # heard while nothing could be written
        self._wake_at_ms: int | None = None
        self._flush_at_ms: int | None = None
        self.inbox = Inbox()
        self.inbox.wake = executor.wake
        self.heard: Callable[[Sequence[Entry]], None] = lambda _entries: None
        self.lookout: Lookout | None = None
        self.witness: Witness | None = None
        self.probe: Probe | None = None
        self.upkeep: Upkeep | None = None
        self.holders: Holders | None = None

    @property
    def state(self) -> State:
        """Show what is believed now."""
        return self._engine.state

    @property
    def storing(self) -> str:
        """Say why nothing can be written at the moment; empty: it can."""
        return "" if self._journal.trouble is None else str(self._journal.trouble)

    @property
    def damaged(self) -> Sequence[Damage]:
        """Name the entries that did not read as they were written, and were left out."""
        return [*self._log.damaged.values()]

    def recover(self) -> None:
        """Rebuild what was believed: everything that was not finished when the log ended."""
        last = self._log.last()
        entries = self._log.read_unfinished()
        # Who waits for a job that has ended meanwhile must find out how, at its place in the log.
        ends = self._log.read_ends(awaited(entry.event for entry in entries))
        ordered = sorted({entry.seq: entry for entry in (*entries, *ends)}.items())
        self._engine.replay((entry for _, entry in ordered), last)
        self._clock.not_before(self._log.last_at_ms())

    def start(self, *nodes: Node, rules: Rules = LIVE) -> Sequence[Entry]:
        """Repeat the orders behind all that is under way, and let the machines join."""
        for effect in outstanding(self.state):
            self._executor.carry_out(effect)
        news: list[Event] = []
        if self.state.rules != rules:
            news.append(RulesConfigured(rules=rules))
        news += [NodeJoined(node=node) for node in nodes if self._is_news(node)]
        entries = self._take(news).entries
        if self.holders is not None:
            self.holders.sweep(self.state)
        return entries

    def submit(self, event: Event) -> Sequence[Entry]:
        """Take an event from a person."""
        return self._take([event]).entries

    def turn(self, timeout_ms: int = IDLE_MS) -> Turn:
        """Wait until something happens, at most so long, and do what follows from it."""
        observed = self._executor.observe(self._patience_ms(timeout_ms))
        now_ms = self._clock.now_ms()
        recordings = self.inbox.recorded()
        told = [one for recording in recordings for one in recording.readings]
        heard = [*of_each(observed.readings), *told]
        for readings in heard:
            self._series.add(readings.job, readings.number, readings.rank, readings.samples)
            self._noted.take(readings.job, readings.notes)
            self._flush_at_ms = self._flush_at_ms or now_ms + FLUSH_EVERY_MS
        if recordings:
            self._keep(recordings)
        orders, questions = self.inbox.take()
        self._kept += observed.events
        if self.lookout is not None:
            self.lookout.hear(heard)
            self._kept += self.lookout.look(self.state, now_ms)
        if self.probe is not None:
            self._kept += self.probe.look(self.state, now_ms)
        entries = self._obey(orders) if self._can_write() else self._refuse(orders)
        for question in questions:
            question.ask(self.state)
        if self._flush_at_ms is not None and now_ms >= self._flush_at_ms:
            self.flush()
        if self.upkeep is not None and self._journal.trouble is None:
            self.upkeep.turn(now_ms)
        return Turn(entries=entries, readings=heard)

    def flush(self) -> None:
        """Write the samples that are still in memory."""
        with contextlib.suppress(Unavailable):  # they wait, and the log will say what is wrong
            self._flush()

    def _flush(self) -> None:
        self._flush_at_ms = None
        if self._journal.trouble is not None:
            raise self._journal.trouble
        self._series.flush()
        self._noted.flush()

    def _keep(self, recordings: Sequence[Recording]) -> None:
        """Write at once what somebody waits for, all of it in as few transactions as samples are."""
        try:
            self._flush()
        except Unavailable as trouble:
            for recording in recordings:
                recording.kept.set_exception(trouble)
            return
        for recording in recordings:
            recording.kept.set_result(None)

    def _is_news(self, node: Node) -> bool:
        return self.state.nodes.get(node.name) != node

    def _obey(self, orders: Sequence[Order]) -> Sequence[Entry]:
        """Believe what was heard and what people want, in one step."""
        wishes = [event for order in orders for event in order.events]
        if not self._recall(wishes):
            return self._refuse(orders)
        events, self._kept = self._kept, []
        if self.witness is not None:
            events = self.witness.watch(self.state, events)
        step = self._take([*events, *wishes], [one for order in orders for one in order.also])
        if self._journal.trouble is not None:
            self._kept += [wish for order in orders for wish in _withdrawn(order)]
            self._journal.forget()  # a key that led to nothing may be used again
            self._refuse(orders)
            return ()
        told = Told(entries=step.entries, refused=step.refused)
        for order in orders:
            reach("controller.told.before")
            order.told.set_result(told)
            reach("controller.told.after")
        return step.entries

    def _refuse(self, orders: Sequence[Order]) -> Sequence[Entry]:
        trouble = self._journal.trouble
        for order in orders:
            assert trouble is not None, "orders are refused only while nothing can be written"
            order.told.set_exception(trouble)
        return ()

    def _can_write(self) -> bool:
        if self._journal.trouble is not None:
            late = self._journal.entries
            self._carry_out(self._journal.flush())
            if late and not self.storing:
                self.heard(late)
        return not self.storing

    def _recall(self, events: Sequence[Event]) -> bool:
        """Let the engine know how jobs have ended that are waited for, and ended long ago.

        False: the store cannot even be read, so nothing can be concluded now.
        """
        try:
            ends = self._log.read_ends(self._engine.unknown(events))
        except Unavailable as error:
            self._journal.trouble = error
            return False
        facts = [entry.event for entry in ends]
        self._engine.recall(
            {fact.job: fact.phase for fact in facts if isinstance(fact, JobFinished)}
        )
        return True

    def _take(self, events: Sequence[Event], also: Sequence[Write] = ()) -> Step:
        step = self._engine.step(events, self._clock.now_ms())
        self._wake_at_ms = step.wake_at_ms
        if self.lookout is not None:  # before the next attempt is launched, which may be at once
            keep_diagnoses(self.lookout.store, step.entries)
        self._carry_out(self._journal.write(step, also))
        if self.holders is not None:
            self.holders.after(self.state, step.entries)
        if step.entries and self._journal.trouble is None:
            self.heard(step.entries)
        return step

    def _carry_out(self, effects: Sequence[Effect]) -> None:
        for effect in effects:
            reach("controller.order.before")
            self._executor.carry_out(effect)
            reach("controller.order.after")

    def _patience_ms(self, timeout_ms: int) -> int:
        if self._journal.trouble is not None:
            return min(timeout_ms, AGAIN_MS)
        upkeep_ms = None if self.upkeep is None else self.upkeep.due_ms
        times = (self._wake_at_ms, self._flush_at_ms, upkeep_ms)
        due = [at_ms for at_ms in times if at_ms is not None]
        if not due:
            return timeout_ms
        return max(0, min(timeout_ms, min(due) - self._clock.now_ms()))


def _withdrawn(order: Order) -> list[Event]:
    """Take back what was being written when the store failed: whoever brought it was refused."""
    text = "it was refused, because the store failed while it was being written"
    wishes: list[Event] = []
    for event in order.events:
        match event:
            case JobSubmitted(job=job):
                wishes.append(JobCancelRequested(job=job, text=text))
            case RunSubmitted(run=run):
                wishes.append(RunCancelRequested(run=run, text=text))
            case _:
                pass
    return wishes
