"""`makeway ui`: the link that opens the web pages and signs in.

The link has a token of its own that is good for half a day. It stands behind a `#`, where no browser
sends it to anybody, and the page takes it out of the address before it uses it.
"""

from __future__ import annotations

import os
import sys
from urllib.parse import quote

import click

from makeway.cli.connect import ordering
from makeway.errors import NotAllowed, Unreachable
from makeway.wire.tokens import Scope, TokenRequest

LASTS = "12h"
DISPLAYS = ("DISPLAY", "WAYLAND_DISPLAY")


@click.command()
@click.argument("page", default="/")
@click.option("--open/--no-open", "wanted", default=None, help="Open a browser (default: if any).")
@click.pass_context
def ui(ctx: click.Context, /, page: str, *, wanted: bool | None) -> None:
    """Print the link to the web pages, and open it where there is a browser.

    PAGE is a path such as /queue. Whoever has the link is signed in as you for twelve hours.
    """
    with ordering(ctx) as desk:
        status = desk.status()
        if not status.url:
            raise Unreachable("the service has no address", hint="start one with: makeway up")
        scopes = tuple(Scope(one) for one in status.scopes)
        asked = TokenRequest(user=status.user, name="web pages", scopes=scopes, lasts=LASTS)
        try:
            token = desk.make_token(asked).token
        except NotAllowed:  # whoever may only read signs in by the form, with the token they have
            token = ""
    link = link_to(status.url, page, token)
    click.echo(link)
    if wanted if wanted is not None else _has_browser():
        import webbrowser

        webbrowser.open(link)


def link_to(url: str, page: str, token: str = "") -> str:
    """Write the link to a page; with a token it signs in on the way."""
    path = page if page.startswith("/") else f"/{page}"
    if not token:
        return f"{url}{path}"
    return f"{url}/login?next={quote(path, safe='')}#token={quote(token, safe='')}"


def _has_browser() -> bool:
    return sys.stdout.isatty() and any(os.environ.get(name) for name in DISPLAYS)
