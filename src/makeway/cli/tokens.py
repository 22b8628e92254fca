"""Make, list and revoke tokens: who may ask the service, and for what."""

from __future__ import annotations

import sys

import click

from makeway.cli.connect import asking, ordering
from makeway.cli.job_text import NOTHING, at
from makeway.cli.listing import print_one, print_page
from makeway.cli.output import OUTPUT, Column
from makeway.wire.page import Page
from makeway.wire.tokens import Scope, TokenMade, TokenRequest, TokenView

EMPTY = "there is no token; make one with: makeway token create --user NAME"


def state_of(token: TokenView) -> str:
    """Say in a word what a token is worth."""
    if token.revoked_s is not None:
        return "revoked"
    import time

    over = token.expires_s is not None and token.expires_s <= time.time()
    return "expired" if over else "valid"


TOKENS = (
    Column("token", lambda token: token.id),
    Column("name", lambda token: token.name or NOTHING),
    Column("user", lambda token: token.user),
    Column("scopes", lambda token: ", ".join(token.scopes)),
    Column("state", state_of),
    Column("expires", lambda token: at(token.expires_s)),
    Column("last used", lambda token: at(token.last_used_s)),
    Column("made", lambda token: at(token.created_s), wide=True),
    Column("revoked", lambda token: at(token.revoked_s), wide=True),
)


@click.group()
def token() -> None:
    """Make, list and revoke tokens. A secret is shown once, when it is made."""


@token.command()
@click.option("--user", help="Whose it is (default: yours).")
@click.option("--name", default="", help="What it is for.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice([scope.value for scope in Scope]),
    help="What it is good for; may be repeated (default: read and submit).",
)
@click.option("--lasts", metavar="TIME", help="How long it is valid: 12h, 30d (default: for good).")
@OUTPUT
@click.pass_context
def create(
    ctx: click.Context,
    /,
    user: str | None,
    name: str,
    scopes: tuple[str, ...],
    lasts: str | None,
    output: str,
) -> None:
    """Make a token; its secret, and nothing else, goes to standard output."""
    with ordering(ctx) as desk:
        whose = user or desk.status().user
        wanted = TokenRequest(user=whose, name=name, lasts=lasts)
        if scopes:
            chosen = tuple(dict.fromkeys(Scope(scope) for scope in scopes))
            wanted = TokenRequest(user=whose, name=name, lasts=lasts, scopes=chosen)
        made = desk.make_token(wanted)
    print_one(made, output, "token", lambda: _show(made))


def _show(made: TokenMade) -> None:
    view = made.view
    click.echo(made.token)
    sys.stdout.flush()
    until = "until it is revoked" if view.expires_s is None else f"until {at(view.expires_s)}"
    scopes = ", ".join(view.scopes)
    click.echo(f"token {view.id} of {view.user}: {scopes}, {until}; not shown again", err=True)


@token.command("list")
@OUTPUT
@click.pass_context
def list_tokens(ctx: click.Context, /, output: str) -> None:
    """List tokens: all for administrators, else one's own."""
    with asking(ctx) as desk:
        found = tuple(desk.tokens())
    print_page(Page(items=found), TOKENS, output, "id", EMPTY)


@token.command()
@click.argument("wanted", metavar="ID")
@OUTPUT
@click.pass_context
def revoke(ctx: click.Context, /, wanted: str, output: str) -> None:
    """Make a token worth nothing, at once."""
    with ordering(ctx) as desk:
        gone = desk.revoke_token(wanted)
    said = f"token {gone.id} of {gone.user} is revoked"
    print_one(gone, output, "id", lambda: click.echo(said))
