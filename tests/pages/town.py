"""The service that the tests of the pages look at, and those who look."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, Page

from tests.acceptance.service import Shop

COOKIE = "makeway_token"
WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


class Visitor:
    """Somebody with a browser window of their own; `strays` is what it asked other hosts for."""

    def __init__(self, context: BrowserContext, url: str) -> None:
        self.context, self.url = context, url
        self.strays: list[str] = []
        self.errors: list[str] = []
        self.page = self.opens()

    def opens(self) -> Page:
        """Open another tab."""
        page = self.context.new_page()
        page.set_default_timeout(15_000)
        page.on("request", lambda request: self._asked(request.url))
        page.on("console", lambda said: self._said(said.type, said.text))
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        return page

    def goes(self, path: str) -> Page:
        """Go to a page."""
        self.page.goto(self.url + path)
        return self.page

    def _asked(self, address: str) -> None:
        if urlsplit(address).netloc != urlsplit(self.url).netloc:
            self.strays.append(address)

    def _said(self, kind: str, text: str) -> None:
        # An answer of 4xx is written there by the browser itself; a test of those expects it.
        if kind == "error" and "Failed to load resource" not in text:
            self.errors.append(text)


class Town:
    """A service with a past: `run` has failed, `held` waits, `running` runs on."""

    def __init__(self, shop: Shop, run: str, held: str, running: str) -> None:
        self.shop, self.run, self.held, self.running = shop, run, held, running
        where = json.loads((shop.store / "service.json").read_text())
        self.url: str = where["url"]
        self.owner = (shop.store / "owner.token").read_text().strip()

    def token(self, user: str, *scopes: str) -> str:
        """Make a token for somebody."""
        made = self.shop.reads("token", "create", "--user", user, *(f"--scope={s}" for s in scopes))
        token: str = made["token"]
        return token

    @contextmanager
    def visitor(
        self, browser: Browser, token: str | None, *, dark: bool = False, narrow: bool = False
    ) -> Iterator[Visitor]:
        """Let somebody in, and look afterwards at what their browser asked for and complained of."""
        context = browser.new_context(
            viewport=NARROW if narrow else WIDE,  # type: ignore[arg-type] # a plain dict is one
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce",
        )
        if token is not None:
            context.add_cookies(
                [{"name": COOKIE, "value": token, "url": self.url, "httpOnly": True,
                  "sameSite": "Strict"}]
            )  # fmt: skip
        one = Visitor(context, self.url)
        try:
            yield one
            assert one.strays == [], "a page asked another host"
            assert one.errors == [], "a page complained in its console"
        finally:
            context.close()
