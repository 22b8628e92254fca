"""What all pages have in common: the way around, light and dark, keys, commands, what is loaded."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.pages.town import Town, Visitor

PAGES = ("/", "/queue", "/workflows", "/runs/{run}", "/steps/{run}.train-bert",
         "/steps/{run}.serve-bert", "/jobs/{held}", "/jobs/{held}/what-if",
         "/steps/{running}", "/timeline", "/timeline?by=machine", "/decisions", "/tokens",
         "/search?kind=steps&q=state+%3D+%27failed%27", "/search?kind=models", "/lineage?ref=crf",
         "/lineage/diff?a=crf&b=lstm", "/datasets")  # fmt: skip


def paths(town: Town) -> list[str]:
    """Give an address of every kind of page."""
    names = {"run": town.run, "held": town.held, "running": town.running}
    return [path.format(**names) for path in PAGES]


def test_every_page_has_its_title_its_command_and_one_heading(visitor: Visitor, town: Town) -> None:
    for path in paths(town):
        page = visitor.goes(path)
        expect(page.locator("h1")).to_have_count(1)
        expect(page).to_have_title(f"{page.locator('h1').inner_text()} · makeway")
        expect(page.locator("main [data-copy]").first).to_have_attribute(
            "data-copy", re.compile("^makeway ")
        )


def test_the_navigation_shows_where_one_is(visitor: Visitor, town: Town) -> None:
    page = visitor.goes("/")
    page.get_by_role("link", name="Workflows").click()
    here = page.locator("nav.side [aria-current=page]")
    expect(here).to_contain_text("Workflows")
    page.get_by_role("link", name=town.run).first.click()
    page.locator("main table").get_by_role("link", name="train-bert").click()
    crumbs = page.get_by_role("navigation", name="Way here")
    expect(crumbs).to_contain_text(town.run)
    crumbs.get_by_role("link", name=re.compile(town.run)).click()
    expect(page.locator("h1")).to_have_text("tagging")


def test_keys_lead_to_pages_rows_and_the_search(visitor: Visitor) -> None:
    page = visitor.goes("/")
    page.keyboard.press("g")
    page.keyboard.press("q")
    expect(page.locator("h1")).to_have_text("Queue")
    page.keyboard.press("j")
    expect(page.locator("main tbody a[data-row]").first).to_be_focused()
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()


def test_light_and_dark_follow_the_system_until_somebody_switches(
    town: Town, browser: Browser
) -> None:
    with town.visitor(browser, town.owner, dark=True) as visitor:
        page = visitor.goes("/queue")
        assert shade(page) < 60
        page.get_by_role("button", name="Switch between light and dark").click()
        assert shade(page) > 200
        page.reload()
        assert shade(page) > 200, "the choice was forgotten"


def test_a_command_is_copied(visitor: Visitor) -> None:
    visitor.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = visitor.goes("/queue?queue=root")
    page.locator("main [data-copy]").first.click()
    expect(page.locator("main [data-copy]").first).to_contain_text("copied")
    assert page.evaluate("navigator.clipboard.readText()") == "makeway queue --queue root"


def test_filters_stand_in_the_address(visitor: Visitor) -> None:
    page = visitor.goes("/queue")
    page.get_by_label("State").select_option("running")
    page.wait_for_url("**state=running**")
    expect(page.get_by_label("State")).to_have_value("running")
    expect(page.get_by_role("link", name="needs much")).to_have_count(0)


@pytest.mark.parametrize("path", ["/nothing", "/jobs/nothing", "/runs/nothing", "/steps/x.y"])
def test_what_is_not_there_is_a_page(visitor: Visitor, path: str) -> None:
    page = visitor.page
    answer = page.goto(visitor.url + path)
    assert answer is not None
    assert answer.status == 404
    expect(page.get_by_role("navigation", name="Pages")).to_be_visible()
    expect(page.locator("main")).to_contain_text("not-found")


def test_nothing_is_wider_than_a_telephone(town: Town, browser: Browser) -> None:
    with town.visitor(browser, town.owner, narrow=True) as visitor:
        for path in paths(town):
            page = visitor.goes(path)
            wide = page.evaluate("document.documentElement.scrollWidth")
            assert wide <= 390, f"{path} is {wide} wide"


def shade(page: Page) -> int:
    """Say how bright the ground of a page is, 0 to 255."""
    colour: str = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    return max(int(number) for number in re.findall(r"\d+", colour)[:3])
