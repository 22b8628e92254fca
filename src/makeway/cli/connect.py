"""Find whom a command asks: a service somewhere, the service of this store, or the store itself.

    --url  >  MAKEWAY_URL  >  the configuration  >  a service that is alive in the store  >  the store

The token is what --token-file holds, else MAKEWAY_TOKEN; for the service of the store it may also be
the one of the store's owner. A secret is never a word of a command line, where everybody sees it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from makeway.errors import InvalidInput, NotFound, Unreachable

if TYPE_CHECKING:
    from makeway.live.config import Config
    from makeway.wire.desk import Desk

URL, TOKEN_FILE = "makeway.url", "makeway.token_file"
HERE = "this store"


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """Whom a command asks; no `url` means the store itself. `because` says who decided that."""

    store: Path
    url: str | None = None
    token: str | None = None
    because: str = HERE


def asked(ctx: click.Context) -> Asked:
    """Find whom to ask; nobody is asked yet."""
    from makeway.client.local import local_service, owner_token

    store, token = Path(ctx.obj), _token(ctx)
    if url := ctx.meta.get(URL):
        return Asked(store=store, url=url, token=token, because="--url")
    if url := os.environ.get("MAKEWAY_URL"):
        return Asked(store=store, url=url, token=token, because="MAKEWAY_URL")
    if (found := configured(ctx)) is not None:
        token = token or (found.token.text or None)
        if found.service.url:
            origin = found.origin("service.url")
            return Asked(store=store, url=found.service.url, token=token, because=origin)
        if not _store_is_given(ctx):
            store = Path(found.service.store)
    local = local_service(store)
    if local is not None:
        mine = token or owner_token(store)
        return Asked(store=store, url=local.url, token=mine, because=f"the service of {store}")
    return Asked(store=store)


def configured(ctx: click.Context) -> Config | None:
    """Read the configuration, if there is any file of it: most folders have none."""
    home = Path.home()
    own = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    named = os.environ.get("MAKEWAY_CONFIG")
    if not (named or Path("makeway.toml").exists() or (own / "makeway/config.toml").exists()):
        return None
    from makeway.live.config import load

    store = {"service.store": str(ctx.obj)} if _store_is_given(ctx) else {}
    return load(store, os.environ, Path.cwd(), home, cluster=False)


def _store_is_given(ctx: click.Context) -> bool:
    """Say whether somebody named the store, and it is not the default."""
    source = ctx.find_root().get_parameter_source("store")
    return source is not None and source.name != "DEFAULT"


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
    import importlib

    try:
        module = importlib.import_module("makeway.live.service")
    except ModuleNotFoundError:
        raise no_service(whom) from None
    desk = module.open_embedded(whom.store)
    try:
        yield desk
    finally:
        getattr(desk, "close", _nothing)()


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


def _token(ctx: click.Context) -> str | None:
    path = ctx.meta.get(TOKEN_FILE)
    if path is None:
        return os.environ.get("MAKEWAY_TOKEN") or None
    try:
        token = Path(path).read_text("utf-8").strip()
    except FileNotFoundError:
        raise NotFound("there is no such file", where=path) from None
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"it cannot be read: {error}", where=path) from None
    if not token:
        raise InvalidInput("there is no token in it", where=path)
    return token


def _nothing() -> None:
    """Do nothing: what has no `close` needs none."""
