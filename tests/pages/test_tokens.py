"""Tokens are made, shown once and taken back; everybody sees their own alone."""

from __future__ import annotations

from playwright.sync_api import Browser, expect

from tests.pages.town import Town, Visitor


def test_a_token_is_shown_once_is_good_and_is_worth_nothing_once_revoked(
    visitor: Visitor, town: Town, browser: Browser
) -> None:
    page = visitor.goes("/tokens")
    page.get_by_label("Whose it is").fill("eve")
    page.get_by_label("What it is for").fill("a dashboard")
    page.get_by_label("How long it is valid").fill("1h")
    page.get_by_label("submit").uncheck()
    page.get_by_role("button", name="Make it").click()
    secret = page.locator("button.command[data-copy^=mw_]").get_attribute("data-copy")
    assert secret is not None
    with town.visitor(browser, secret) as eve:
        assert "eve" in eve.goes("/queue").get_by_label("Pages").inner_text()
    page = visitor.goes("/tokens")
    assert secret not in page.content()
    page.on("dialog", lambda dialog: dialog.accept())
    row = page.get_by_role("row").filter(has_text="a dashboard")
    row.get_by_role("button", name="Revoke").click()
    expect(page.get_by_role("row").filter(has_text="a dashboard")).to_contain_text("revoked")
    with town.visitor(browser, secret) as nobody:
        assert "/login" in nobody.goes("/queue").url


def test_others_see_their_own_and_cannot_give_more_than_they_have(
    town: Town, browser: Browser
) -> None:
    with town.visitor(browser, town.token("mallory", "read", "submit")) as guest:
        page = guest.goes("/tokens")
        text = page.locator("main").inner_text()
        assert "Your tokens" in text
        assert "the owner of the store" not in text
        assert page.get_by_label("Whose it is").count() == 0
        assert page.get_by_label("admin").count() == 0


def test_a_token_that_is_good_for_nothing_is_not_made(visitor: Visitor) -> None:
    page = visitor.goes("/tokens")
    for scope in ("read", "submit"):
        page.get_by_label(scope, exact=False).first.uncheck()
    page.get_by_role("button", name="Make it").click()
    assert "a token is good for something" in page.locator("main").inner_text()
