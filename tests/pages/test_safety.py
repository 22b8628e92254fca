"""What a page must never do: run what somebody wrote, ask elsewhere, offer what is not allowed."""

from __future__ import annotations

import http.client
import re
from urllib.parse import urlencode, urlsplit

import pytest
from playwright.sync_api import Browser, expect

from tests.pages.conftest import NAME
from tests.pages.test_base import paths
from tests.pages.town import COOKIE, Town, Visitor

INLINE = re.compile(r"<script(?![^>]*\ssrc=)|\son\w+=|\sstyle=|<style|javascript:", re.IGNORECASE)


def asks(town: Town, method: str, path: str, *, token: str = "", **headers: str) -> tuple[int, str]:
    """Ask without a browser, with a cookie."""
    connection = http.client.HTTPConnection(urlsplit(town.url).netloc, timeout=20)
    try:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        body = urlencode({"back": ""}) if method == "POST" else None
        if body is not None:
            named["Content-Type"] = "application/x-www-form-urlencoded"
        connection.request(
            method, path, body, {"Cookie": f"{COOKIE}={token or town.owner}", **named}
        )
        answer = connection.getresponse()
        text = answer.read().decode()
        if method == "GET" and answer.status == 200:
            policy = answer.getheader("Content-Security-Policy") or ""
            assert policy.startswith("default-src 'self'"), policy
            assert "unsafe" not in policy
        return answer.status, text
    finally:
        connection.close()


def test_no_script_and_no_style_stands_in_a_page(town: Town) -> None:
    for path in paths(town):
        status, text = asks(town, "GET", path)
        assert status == 200
        assert not INLINE.findall(text.replace(NAME, "")), path


def test_a_name_and_a_log_with_markup_are_only_text(visitor: Visitor, town: Town) -> None:
    for path in ("/queue", f"/jobs/{town.running}", f"/steps/{town.running}",
                 f"/steps/{town.run}.ingest"):  # fmt: skip
        page = visitor.goes(path)
        expect(page.locator("main")).to_contain_text("<script>")
        expect(page).not_to_have_title("taken over")
        assert page.locator("main script").count() == 0


def test_nothing_is_changed_from_another_site_or_without_an_origin(town: Town) -> None:
    act = f"/jobs/{town.held}/release"
    assert asks(town, "POST", act)[0] == 403
    assert asks(town, "POST", act, Origin="http://elsewhere.test")[0] == 403
    assert asks(town, "POST", act, Origin="null")[0] == 403
    assert town.shop.phase(town.held) == "queued"


def test_a_look_changes_nothing(town: Town) -> None:
    assert asks(town, "GET", f"/jobs/{town.held}/cancel")[0] in (404, 405)
    assert town.shop.phase(town.held) == "queued"


@pytest.mark.parametrize("scopes", [("read",), ("read", "submit")])
def test_nobody_is_offered_what_they_may_not_do(
    town: Town, browser: Browser, scopes: tuple[str, ...]
) -> None:
    with town.visitor(browser, town.token("eve", *scopes)) as visitor:
        for path in paths(town):
            if "what-if" in path and "submit" not in scopes:
                continue
            page = visitor.goes(path)
            # What only concerns oneself (a search that is kept, a token) is everybody's.
            buttons = page.locator("main form[method=post]:not([data-own])")
            assert buttons.count() == 0, f"{path} offers {buttons.all_inner_texts()}"


def test_what_is_not_offered_is_refused_all_the_same(town: Town) -> None:
    token = town.token("eve", "read")
    status, text = asks(town, "POST", f"/jobs/{town.held}/cancel", token=token, Origin=town.url)
    assert status == 403
    assert "needs the scope submit" in text
    assert town.shop.phase(town.held) == "queued"


def test_who_may_does(town: Town, visitor: Visitor) -> None:
    job = town.shop.submits("--name", "to be ended", "--hold", "--", "true")
    page = visitor.goes(f"/jobs/{job}")
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator(".head .state")).to_have_text("cancelled")
    assert town.shop.phase(job) == "cancelled"


def test_the_files_of_the_pages_may_be_kept_and_are_packed(town: Town, visitor: Visitor) -> None:
    page = visitor.goes("/")
    script = page.locator("script[src*='app.js']").get_attribute("src")
    answer = page.request.get(town.url + str(script), headers={"Accept-Encoding": "gzip"})
    assert answer.headers["content-encoding"] == "gzip"
    assert "immutable" in answer.headers["cache-control"]
    assert int(answer.headers["content-length"]) < 300_000
