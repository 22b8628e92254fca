"""Signing in: by a form, by a link, and what happens to those who are not."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.pages.town import COOKIE, Town, Visitor


def signs_in(page: Page, token: str) -> None:
    """Fill in the form."""
    page.get_by_label("Token").fill(token)
    page.get_by_role("button", name="Sign in").click()


def test_who_is_not_signed_in_comes_back_to_where_they_wanted_to_go(
    town: Town, browser: Browser
) -> None:
    with town.visitor(browser, None) as visitor:
        page = visitor.goes("/queue?state=running")
        expect(page.locator("h1")).to_have_text("Sign in")
        signs_in(page, town.owner)
        assert page.url == f"{town.url}/queue?state=running"


def test_the_cookie_is_out_of_reach_of_scripts_and_of_other_sites(
    town: Town, browser: Browser
) -> None:
    with town.visitor(browser, None) as visitor:
        signs_in(visitor.goes("/login"), town.owner)
        (cookie,) = [one for one in visitor.context.cookies() if one.get("name") == COOKIE]
        assert (cookie.get("httpOnly"), cookie.get("sameSite")) == (True, "Strict")
        assert visitor.page.evaluate("document.cookie") == ""


def test_a_wrong_token_is_refused_in_a_sentence(town: Town, browser: Browser) -> None:
    with town.visitor(browser, None) as visitor:
        page = visitor.goes("/login")
        signs_in(page, "mw_nobody_nothing")
        expect(page.get_by_role("alert")).to_have_text("This token is not known, or not any more.")
        assert not visitor.context.cookies()


@pytest.mark.parametrize("place", ["https://elsewhere.test/", "//elsewhere.test", "/\\elsewhere"])
def test_signing_in_leads_to_no_other_site(town: Town, browser: Browser, place: str) -> None:
    with town.visitor(browser, None) as visitor:
        signs_in(visitor.goes(f"/login?next={place}"), town.owner)
        assert visitor.page.url == f"{town.url}/"


def test_the_link_of_the_command_signs_in_and_leaves_no_token_behind(
    town: Town, browser: Browser
) -> None:
    link = town.shop.types("ui", "/queue").stdout.strip()
    assert "#token=" in link
    with town.visitor(browser, None) as visitor:
        page, asked = visitor.page, []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(link)
        expect(page.locator("h1")).to_have_text("Queue")
        token = link.partition("#token=")[2]
        assert not [address for address in asked if token in address]
        page.go_back()
        assert "token" not in urlsplit(page.url).fragment


def test_signing_out_takes_the_cookie_away(town: Town, browser: Browser) -> None:
    with town.visitor(browser, town.owner) as visitor:
        page = visitor.goes("/")
        page.get_by_role("button", name="Sign out").click()
        expect(page.locator("h1")).to_have_text("Sign in")
        assert not visitor.context.cookies()


def test_a_token_that_is_revoked_ends_the_visit(town: Town, browser: Browser) -> None:
    made = town.shop.reads("token", "create", "--user", "eve")
    with town.visitor(browser, made["token"]) as visitor:
        expect(visitor.goes("/queue").locator("h1")).to_have_text("Queue")
        town.shop.types("token", "revoke", made["view"]["id"])
        expect(visitor.goes("/queue").locator("h1")).to_have_text("Sign in")


def test_the_visitor_is_named(visitor: Visitor) -> None:
    expect(visitor.goes("/").locator(".who")).to_contain_text("admin")
