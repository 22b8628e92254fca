"""Pages that keep themselves up to date: one stream for all tabs, through breaks as well."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Browser, expect

from tests.acceptance.service import opened
from tests.pages.town import Town, Visitor

LIVE = "#live[data-state=live]"


def test_eight_tabs_show_a_failure_as_it_happens_over_one_stream(
    town: Town, visitor: Visitor
) -> None:
    go = town.shop.folder / "go"
    until = f'while [ ! -e "{go}" ]; do sleep 0.05; done; echo "no such table"; exit 3'
    job = town.shop.submits("--name", "will fail", "--", "sh", "-c", until)
    tabs = [visitor.page, *(visitor.opens() for _ in range(7))]
    for tab in tabs:
        tab.goto(f"{town.url}/jobs/{job}")
        expect(tab.locator(LIVE)).to_be_visible()
    before = streams(town, visitor)
    go.touch()
    for tab in tabs:
        tab.bring_to_front()
        expect(tab.locator(".head .state")).to_have_text("failed")
    assert before == 1, "the tabs share their stream"
    tabs[0].get_by_role("link", name="Diagnosis, charts and log").click()
    expect(tabs[0].get_by_label("Log", exact=True)).to_contain_text("no such table")


def test_a_page_says_that_the_service_is_away_and_goes_on_when_it_is_back(
    browser: Browser, tmp_path: Path
) -> None:
    with opened(tmp_path) as shop:
        shop.submits("--name", "waits", "--hold", "--", "true")
        town = Town(shop, run="", held="", running="")
        with town.visitor(browser, town.owner) as visitor:
            page = visitor.goes("/queue")
            expect(page.locator(LIVE)).to_be_visible()
            shop.port = int(town.url.rpartition(":")[2])
            shop.closes()
            expect(page.get_by_text("reconnecting…")).to_be_visible()
            shop.opens()
            shop.submits("--name", "came meanwhile", "--hold", "--", "true")
            expect(page.locator(LIVE)).to_be_visible(timeout=15_000)
            expect(page.get_by_role("link", name="came meanwhile")).to_be_visible()


def test_what_is_open_stays_open_while_a_page_is_refreshed(town: Town, visitor: Visitor) -> None:
    page = visitor.goes("/queue")
    page.get_by_text("What would start it").first.click()
    town.shop.submits("--name", "comes later", "--hold", "--", "true")
    expect(page.get_by_role("link", name="comes later")).to_be_visible()
    expect(page.locator("details[open]")).to_have_count(1)


def streams(town: Town, visitor: Visitor) -> int:
    """Count the streams that the service keeps open."""
    text = visitor.page.request.get(f"{town.url}/metrics").text()
    (line,) = [one for one in text.splitlines() if one.startswith("makeway_http_streams ")]
    return int(float(line.split()[1]))
