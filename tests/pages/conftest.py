"""Start one service for all tests of the pages, let a workflow run in it, and open a browser.

What every test gets for nothing: no page asks another host for anything, breaks its own policy, or
says an error in its console.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.acceptance.service import opened
from tests.pages.town import Town, Visitor
from tools.web_assets import build

HERE = Path(__file__).parent
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
NO_BROWSER = "the tests of the pages need Chromium: apt-get install chromium"
NAME = "<script>document.title='taken over'</script>"


@pytest.fixture(scope="session")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """Give a service in which a run has failed, a job waits for ever and another one runs on."""
    build()
    folder = tmp_path_factory.mktemp("town")
    shutil.copy(HERE / "flow.py", folder / "flow.py")
    with opened(folder) as shop:
        shop.types("run", "flow.py", "--no-watch", expect=None)
        run = shop.reads("runs")[0]["id"]
        much = shop.submits("--name", "needs much", "--cpus", "0.5", "--hold", "--", "true")
        odd = shop.submits("--name", NAME, "--", "sh", "-c", f'echo "{NAME}"; sleep 600')
        yield Town(shop, run=run, held=much, running=odd)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Give a browser: the system's own, never one that is fetched."""
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip(NO_BROWSER)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=found, args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        )
        yield started
        started.close()


@pytest.fixture
def visitor(town: Town, browser: Browser) -> Iterator[Visitor]:
    """Give somebody who may do everything, signed in, with a page before them."""
    with town.visitor(browser, town.owner) as one:
        yield one


@pytest.fixture
def page(visitor: Visitor) -> Page:
    """Give their page."""
    return visitor.page
