"""Find whom a command asks: a service somewhere, the service of this store, or the store itself.

    --url  >  MAKEWAY_URL  >  the configuration  >  a service that is alive in the store  >  the store

The token is what --token-file holds, else MAKEWAY_TOKEN; for the service of the store it may also be
the one of the store's owner. A secret is never a word of a command line, where everybody sees it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from makeway.errors import Unreachable

if TYPE_CHECKING:
    from makeway.wire.desk import Desk

GIVEN, URL, URL_FROM, TOKEN = "makeway.given", "makeway.url", "makeway.url_from", "makeway.token"
HERE, STORE = "this store", ".makeway"


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """Whom a command asks; no `url` means the store itself. `because` says who decided that."""

    store: Path
    url: str | None = None
    token: str | None = None
    because: str = HERE


def configure(ctx: click.Context, given: Mapping[str, str | None]) -> None:
    """Let the context hold whom the options, the environment and the files name, and the store."""
    if not any(given.values()) and _nothing_is_set():
        ctx.obj, ctx.meta[TOKEN] = os.path.realpath(STORE), ""
        ctx.meta[URL] = ctx.meta[URL_FROM] = None
        return
    from makeway.cli.configured import configured

    config = configured(given, cluster=False)
    ctx.obj = os.path.realpath(config.service.store)
    ctx.meta[URL] = config.service.url or None
    ctx.meta[URL_FROM] = config.origin("service.url")
    ctx.meta[TOKEN] = config.token.text


def _nothing_is_set() -> bool:
    """Say whether all is as it is by default, which needs no reading: that takes 12 ms."""
    own = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    files = (Path("makeway.toml"), own / "makeway" / "config.toml")
    return not any(file.exists() for file in files) and not any(
        name.startswith("MAKEWAY_") for name in os.environ
    )


def asked(ctx: click.Context) -> Asked:
    """Find whom to ask; nobody is asked yet."""
    from makeway.client.local import local_service, owner_token

    if ctx.obj is None:  # a command that may need neither, and turned out to need both
        configure(ctx, ctx.meta[GIVEN])
    store, token = Path(ctx.obj), ctx.meta[TOKEN] or None
    if url := ctx.meta[URL]:
        return Asked(store=store, url=url, token=token, because=ctx.meta[URL_FROM])
    local = local_service(store)
    if local is not None:
        mine = token or owner_token(store)
        return Asked(store=store, url=local.url, token=mine, because=f"the service of {store}")
    return Asked(store=store)


@contextmanager
def asking(ctx: click.Context) -> Iterator[Desk]:
    """Open the way to whom is asked, for as long as the block runs."""
    with opened(asked(ctx)) as desk:
        yield desk


@contextmanager
def opened(whom: Asked) -> Iterator[Desk]:
    """Open the way to somebody; from any thread, each time a new one."""
    if whom.url is not None:
        from makeway.client.client import Client

        with Client(whom.url, whom.token) as client:
            yield client
        return
    from makeway.live.desk import ServiceDesk
    from makeway.live.owner import user_name
    from makeway.live.service import owner_of
    from makeway.live.still import Still

    still = Still(whom.store)
    try:
        yield ServiceDesk(still, owner_of(user_name()))
    finally:
        still.close()


@contextmanager
def again(desk: Desk, whom: Asked) -> Iterator[Desk]:
    """Look anew: a service knows what has happened since, a store is opened once more."""
    if whom.url is not None:
        yield desk
        return
    with opened(whom) as fresh:
        yield fresh


@contextmanager
def ordering(ctx: click.Context) -> Iterator[Desk]:
    """Open the way to a service that does things; a store alone only answers questions."""
    whom = asked(ctx)
    if whom.url is None:
        raise no_service(whom)
    with opened(whom) as desk:
        yield desk


def no_service(whom: Asked) -> Unreachable:
    """Make the error that no service works here."""
    hint = "start one with: makeway up; or name another one by --url or MAKEWAY_URL"
    return Unreachable("no service works in this store", where=str(whom.store), hint=hint)
