"""Turn view models into pages: the templates, what they may call, the headers of every page.

A page is asked for whole, or (by a script that keeps it up to date) for its `main` part alone.
Whatever a template prints is escaped, and a name that it does not know is an error at once.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import Response

from makeway.server.pages import drawing, words
from makeway.server.pages.assets import address

TEMPLATES = Path(__file__).parents[1] / "templates"
MAIN = "main"
# Nothing is taken from elsewhere, and no script or style stands in a page itself. The Referrer is
# kept for our own forms: without it a browser sends them with no Origin.
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'self';"
    " frame-ancestors 'none'; object-src 'none'",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Vary": "HX-Request",
}
FILTERS = {
    "amounts": words.amounts, "share": words.share, "word": words.word,
    "instant": words.instant, "instant_ms": words.instant_ms, "number": words.number,
    "short_id": words.short_id, "machine_time": words.machine_time,
}  # fmt: skip
GLOBALS = {
    "kind_of": words.kind_of, "icon_of": words.icon_of, "lasting": words.lasting,
    "lasting_ms": words.lasting_ms, "bare": words.bare, "measured": words.measured,
    "bar": drawing.bar, "spark": drawing.spark, "asset": address,
}  # fmt: skip


@functools.cache
def environment() -> Environment:
    """Give the templates; each is read and compiled once."""
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters.update(FILTERS)
    made.globals.update(GLOBALS)
    # The parts that pages are made of can be called in each of them, in a fragment as well.
    made.globals["ui"] = made.get_template("parts.html").module
    return made


def rendered(
    template: str, values: Mapping[str, object], *, part: bool = False, status: int = 200
) -> Response:
    """Answer with a page, or with its main part alone."""
    found = environment().get_template(template)
    if part:
        text = "".join(found.blocks[MAIN](found.new_context(dict(values))))
    else:
        text = found.render(values)
    return Response(text, status, dict(HEADERS), "text/html; charset=utf-8")
