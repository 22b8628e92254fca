"""Somebody searches: finds, narrows, sorts, is told what is wrong, and keeps what they look for."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect

from makeway.server.pages.narrow import with_, without
from tests.pages.town import Town, Visitor


def test_the_box_of_every_page_leads_to_what_is_found(visitor: Visitor, town: Town) -> None:
    page = visitor.goes("/queue")
    page.get_by_role("searchbox").fill("metrics.accuracy > 0.8")
    page.get_by_role("searchbox").press("Enter")
    expect(page.locator("h1")).to_have_text("Search")
    kinds = page.get_by_role("navigation", name="Kinds")
    expect(kinds.get_by_role("link", name="Steps 3")).to_be_visible()
    kinds.get_by_role("link", name="Steps 3").click()
    found = page.get_by_role("region", name="What was found")
    expect(found.get_by_role("img", name="accuracy from 0.6 to 0.84")).to_be_visible()
    said = page.locator("main [data-copy]").first.get_attribute("data-copy")
    assert said == "makeway search 'metrics.accuracy > 0.8' --kind steps"
    found.get_by_role("link", name="train-bert").click()
    expect(page).to_have_url(f"{town.url}/steps/{town.run}.train-bert")


def test_a_click_narrows_and_the_next_one_widens_again(visitor: Visitor) -> None:
    page = visitor.goes("/search?kind=steps&q=metrics.accuracy+%3E+0.8")
    page.get_by_role("region", name="By state").get_by_role("link", name="failed").click()
    query = page.get_by_label("Query", exact=True).locator("[name=q]")
    expect(query).to_have_value("metrics.accuracy > 0.8 AND state = 'failed'")
    expect(page.locator("main tbody a[data-row]")).to_have_text(["train-bert"])
    page.get_by_role("region", name="By state").get_by_role("link", name="failed").click()
    expect(query).to_have_value("metrics.accuracy > 0.8")


def test_a_column_sorts_and_says_so(visitor: Visitor) -> None:
    page = visitor.goes("/search?kind=steps&q=metrics.accuracy+%3E+0.8")
    page.get_by_role("columnheader").get_by_role("link", name="accuracy").click()
    page.get_by_role("columnheader").get_by_role("link", name="accuracy").click()
    head = page.get_by_role("columnheader").filter(has_text="accuracy").first
    expect(head).to_have_attribute("aria-sort", "ascending")
    expect(page.locator("main tbody a[data-row]").first).to_have_text("train-bert")


def test_a_slip_is_shown_under_its_place_with_the_nearest_name(
    visitor: Visitor, town: Town
) -> None:
    page = visitor.goes("/search?q=name+%3D+%27x%27+AND+metrics.acuracy+%3E+1")
    wrong = page.get_by_role("alert")
    expect(wrong).to_contain_text("no metric 'acuracy' was ever recorded")
    expect(wrong).to_contain_text("the nearest is accuracy")
    shown = wrong.locator("pre").inner_text().splitlines()
    assert shown[1].index("^") == shown[0].index("metrics.acuracy")
    said = town.shop.types("search", "name = 'x' AND metrics.acuracy > 1", expect=2).stderr
    assert wrong.locator("strong").inner_text() in said, "the command says it otherwise"


def test_a_word_alone_finds_what_is_called_so(visitor: Visitor) -> None:
    page = visitor.goes("/search?q=tagg")
    expect(page.locator("main tbody a[data-row]").first).to_have_text("tagging")
    expect(page.locator("main [name=q]").first).to_have_value(
        "name ILIKE '%tagg%' OR id LIKE 'tagg%'"
    )


def test_a_search_is_kept_for_who_kept_it_and_forgotten(
    visitor: Visitor, town: Town, browser: Browser
) -> None:
    page = visitor.goes("/search?kind=steps&q=state+%3D+%27failed%27")
    saved = page.get_by_role("region", name="Saved searches")
    saved.get_by_label("Name of this search").fill("what <failed>")
    saved.get_by_role("button", name="Save").click()
    visitor.goes("/search")
    saved.get_by_role("link", name="what <failed>").click()
    expect(page.locator("main [name=q]").first).to_have_value("state = 'failed'")
    with town.visitor(browser, town.token("eve", "read")) as eve:
        other = eve.goes("/search").get_by_role("region", name="Saved searches")
        expect(other.get_by_role("link")).to_have_count(0)
    saved.get_by_role("button", name="Forget what <failed>").click()
    expect(saved.get_by_role("link")).to_have_count(0)


@pytest.mark.parametrize(
    "query, narrower",
    [("", "state = 'failed'"),
     ("a = 1", "a = 1 AND state = 'failed'"),
     ("a = 1 OR b = 2", "(a = 1 OR b = 2) AND state = 'failed'")],
)  # fmt: skip
def test_a_condition_is_put_to_a_query_and_taken_away(query: str, narrower: str) -> None:
    assert with_(query, "state = 'failed'") == narrower
    assert without(narrower, "state = 'failed'") == query


def test_a_condition_that_need_not_hold_cannot_be_taken_away() -> None:
    assert without("a = 1 OR state = 'failed'", "state = 'failed'") is None
