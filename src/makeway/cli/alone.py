"""Run a job inside the command where no service works: with a service of its own, for that long.

The loop turns in the main thread, where the store was opened and where signals come; whoever brings
the job and follows it is another thread, as any caller of a service is. What ran in the store before
goes on meanwhile. Ctrl-C ends the loop and not the job: its agent needs nobody.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import click

from makeway.cli.configured import configured
from makeway.cli.job_text import FINAL
from makeway.cli.settle import tell_state
from makeway.errors import Unavailable
from makeway.live.assemble import embedded
from makeway.live.desk import ServiceDesk
from makeway.live.owner import user_name
from makeway.live.service import Service, owner_of, plan_of, settings_of
from makeway.server.offered import offered
from makeway.wire.jobs import JobView

if TYPE_CHECKING:
    from makeway.cli.logs import JobPrinter

LOOK_EVERY_S = 0.2

Bring = Callable[[ServiceDesk], JobView]
Print = Callable[[ServiceDesk, JobView], "JobPrinter"]


class _Caller:
    """Who brings the job and follows it, beside the loop."""

    def __init__(self, service: Service, bring: Bring, printer: Print) -> None:
        self._service, self._bring, self._printer = service, bring, printer
        self.job: JobView | None = None
        self.trouble: BaseException | None = None

    def work(self) -> None:
        """Bring it and follow it; whatever comes of that, the loop ends then."""
        try:
            desk = ServiceDesk(self._service, self._service.owner)
            self.job = self._bring(desk)
            self._follow(desk, self.job)
        except BaseException as error:  # noqa: BLE001 - it belongs to the main thread
            left = isinstance(error, Unavailable) and self.job is not None and self._service.ending
            self.trouble = None if left else error
        finally:
            self._service.stop()

    def _follow(self, desk: ServiceDesk, job: JobView) -> None:
        printer, told, seen = self._printer(desk, job), "", 0
        while job.phase not in FINAL:
            last = self._service.wait_for(seen, LOOK_EVERY_S)
            if self._service.ending:
                return
            if last != seen:
                seen = last
                self.job = job = desk.job(job.id)
                told = tell_state(job, told)
            if job.attempt:
                printer.print_new(job.attempt)
        printer.print_rest()


def run_alone(store: Path, bring: Bring, printer: Print) -> JobView | None:
    """Run a job to its end, and give it as it is then; None if Ctrl-C came before that."""
    config = configured({}, cluster=True)
    with embedded(store, plan_of(config)) as house:
        service = Service(house, settings_of(config), owner_of(user_name()))
        caller = _Caller(service, bring, printer)
        thread = threading.Thread(target=caller.work)
        try:
            service.begin()
            with offered(house, service.inbox), _ends_the_loop(service):
                thread.start()
                service.run()
        finally:
            service.stop()
            if thread.ident is not None:
                thread.join()
            service.close()
    if caller.trouble is not None:
        raise caller.trouble
    job = caller.job
    if job is None or job.phase in FINAL:
        return job
    left = f"left; job {job.id} goes on. See it: makeway job show {job.id}"
    click.echo(f"\n{left}; go on with it, or end it, in a service: makeway up", err=True)
    return None


@contextmanager
def _ends_the_loop(service: Service) -> Iterator[None]:
    """Let Ctrl-C (and SIGTERM) end the loop between two turns."""

    def end(_number: int, _frame: FrameType | None) -> None:
        service.stop()

    before = {one: signal.signal(one, end) for one in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
