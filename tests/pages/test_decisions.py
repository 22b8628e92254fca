"""What was decided, and against whom, as somebody sees it who looks at the page."""

from __future__ import annotations

from playwright.sync_api import Browser

from tests.pages.town import Town, Visitor


def test_what_failed_stands_there_with_what_was_decided_and_why(visitor: Visitor) -> None:
    page = visitor.goes("/decisions?kind=stop")
    row = page.get_by_role("row").filter(has_text="train-bert")
    assert "CODE_ERROR is permanent" in row.inner_text()


def test_a_filter_is_in_the_address_and_comes_back_with_it(visitor: Visitor) -> None:
    page = visitor.goes("/decisions")
    page.get_by_role("combobox", name="Decision").select_option("start")
    page.wait_for_url("**kind=start**")
    kinds = page.locator("tbody td:nth-child(2) strong").all_inner_texts()
    assert {*kinds} == {"start"}
    page.reload()
    assert page.get_by_role("combobox", name="Decision").input_value() == "start"


def test_somebody_against_whom_nothing_was_decided_is_told_so(town: Town, browser: Browser) -> None:
    with town.visitor(browser, town.token("nobody-knows", "read")) as guest:
        page = guest.goes("/decisions")
        page.get_by_role("link", name="Against me").click()
        page.wait_for_url("**against=nobody-knows**")
        assert "Nothing was decided against you" in page.locator("main").inner_text()


def test_a_span_that_there_is_not_is_told(visitor: Visitor) -> None:
    page = visitor.goes("/decisions?since=yesterday")
    assert "there is no span 'yesterday'" in page.locator("main").inner_text()
