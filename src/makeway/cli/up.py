"""`makeway up`: the service, in the foreground, until it is told to end."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from types import FrameType

import click

from makeway import __version__
from makeway.cli.amount_text import amounts_text
from makeway.cli.configured import configured
from makeway.errors import MakewayError
from makeway.executor.folder import write_whole
from makeway.executor.tracking import Endpoint, known_endpoint
from makeway.export.begin import exporting
from makeway.live.assemble import embedded
from makeway.live.config import Config
from makeway.live.counts import Counts
from makeway.live.entrance import Office, owner_token
from makeway.live.owner import user_name
from makeway.live.service import Service, owner_of, plan_of, settings_of
from makeway.live.tracker import Tracker
from makeway.policy.say import count_of
from makeway.server.app import create_app
from makeway.server.listen import serve
from makeway.server.offered import offered_too
from makeway.server.office import Settings

ADDRESS = "service.json"  # in the store: where the service that lives there can be asked


@click.command()
@click.option("--host", help="The address to listen on (default 127.0.0.1).")
@click.option("--port", type=click.IntRange(0, 65535), help="The port (default 7070; 0: any).")
@click.option("--config", metavar="FILE", help="The configuration (default ./makeway.toml).")
@click.option(
    "--executor", type=click.Choice(["local", "ray"]), help="Where workers live (default local)."
)
@click.option(
    "--ray-address", metavar="HOST:PORT", help="The Ray cluster (default auto: this machine's)."
)
@click.option("--standby", is_flag=True, help="Wait for the service that is at work to be gone.")
@click.pass_context
def up(
    ctx: click.Context,
    /,
    host: str | None,
    port: int | None,
    config: str | None,
    executor: str | None,
    ray_address: str | None,
    standby: bool,
) -> None:
    """Run the service that a team shares, in the foreground, until Ctrl-C or `makeway down`.

    Jobs that run are not touched when it ends: the next `makeway up` finds them again. SIGHUP reads
    the configuration again.
    """
    flags = {
        "service.host": host, "service.port": port, "config": config,
        "executor.kind": executor, "executor.ray_address": ray_address,
        "service.store": ctx.find_root().params.get("store"),
    }  # fmt: skip
    wanted = configured(flags)
    patience_s = float("inf") if standby else 0.0
    store = Path(wanted.service.store).resolve()
    with embedded(store, plan_of(wanted, patience_s)) as house:
        owner = owner_of(user_name())
        service = Service(house, settings_of(wanted), owner)
        counts = service.begin()
        token = owner_token(service, owner.user)
        earlier = known_endpoint(store) if counts.running else None
        app = create_app(Office(service), _settings(wanted))
        running = serve(app, wanted.service.host, wanted.service.port)
        try:
            service.url = running.url
            app.state.front.tracker = tracker = Tracker(service.ground(running.url))
            write_whole(store / ADDRESS, {"url": running.url, "pid": os.getpid()})
            with (
                exporting(service, service.reader, wanted.export) as told,
                _signals(service, flags),
                _where_it_was(earlier, service, tracker),
            ):
                _greet(service, counts, token, told)
                service.run()
        finally:
            running.stop()
            (store / ADDRESS).unlink(missing_ok=True)
            service.close()
    click.echo("the service has ended; what runs goes on: makeway up finds it again", err=True)


def _where_it_was(
    earlier: Endpoint | None, service: Service, tracker: Tracker
) -> AbstractContextManager[None]:
    """Be found by workers that were told another address before this service came."""
    if earlier is None or earlier.url == service.url:
        return nullcontext()
    return offered_too(earlier.url, Office(service), tracker)


def _settings(config: Config) -> Settings:
    service = config.service
    return Settings(
        allowed_hosts=service.allowed_hosts,
        allowed_origins=service.allowed_origins,
        body_max_bytes=service.max_request_bytes,
    )


def _greet(service: Service, counts: Counts, token: Path, told: Sequence[str]) -> None:
    kinds = amounts_text(counts.capacity)
    nodes = count_of(counts.nodes, "node")
    click.echo(f"makeway {__version__} at {service.url}", err=True)
    click.echo(f"  {nodes}: {kinds}; {counts.running} jobs run, {counts.queued} wait", err=True)
    click.echo(f"  store {service.store} ({service.reader.where})", err=True)
    click.echo("  the web pages: makeway ui prints a link that signs you in", err=True)
    for receiver in told:
        click.echo(f"  tells {receiver}", err=True)
    for damage in service.damaged:
        about = f", of {damage.owner}, which is left out" if damage.owner else ""
        click.echo(f"  entry {damage.seq} does not read as it was written{about}", err=True)
    click.echo(
        f"  the owner's token is in {token}; Ctrl-C, or makeway down, ends the service", err=True
    )


@contextmanager
def _signals(service: Service, flags: Mapping[str, object]) -> Iterator[None]:
    """End at SIGINT and SIGTERM; read the configuration again at SIGHUP."""

    def end(_number: int, _frame: FrameType | None) -> None:
        service.stop()

    def again(_number: int, _frame: FrameType | None) -> None:
        try:
            service.reload(settings_of(configured(flags)))
        except MakewayError as error:
            click.echo(f"the configuration was not read again: {error}", err=True)

    wanted = {signal.SIGINT: end, signal.SIGTERM: end, signal.SIGHUP: again}
    before = {number: signal.signal(number, handler) for number, handler in wanted.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
