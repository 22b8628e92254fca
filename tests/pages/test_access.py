"""Everybody can read the pages: axe finds nothing that breaks WCAG 2.2 AA, in light and in dark."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.pages.test_base import paths
from tests.pages.town import Town
from tools.web_assets import WEB

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
ASK = """async (rules) => {
  const found = await axe.run(document, { runOnly: { type: "tag", values: rules } });
  return found.violations.map((one) => [one.id, one.nodes.map((node) => node.html).slice(0, 4)]);
}"""


@pytest.mark.parametrize("dark", [False, True])
def test_no_page_breaks_a_rule_of_access(town: Town, browser: Browser, *, dark: bool) -> None:
    script = (WEB / "node_modules" / "axe-core" / "axe.min.js").read_text("utf-8")
    broken: dict[str, Any] = {}
    with town.visitor(browser, town.owner, dark=dark) as visitor:
        for path in paths(town):
            page = visitor.goes(path)
            page.evaluate(script)
            if found := page.evaluate(ASK, RULES):
                broken[path] = found
    assert not broken, broken
