"""Who ran when, as somebody sees it who looks at the page."""

from __future__ import annotations

from tests.pages.town import Visitor


def test_every_job_has_a_row_and_the_table_says_the_same(visitor: Visitor) -> None:
    page = visitor.goes("/timeline")
    rows = page.get_by_label("What the rows are").get_by_role("link")
    names = rows.all_inner_texts()
    assert "needs much" in names
    assert any("odd" in name or "script" in name for name in names)
    assert any("train-bert" in name for name in names)
    page.get_by_text("As a table").click()
    table = page.get_by_role("region", name="Attempts")
    assert "CODE_ERROR" in table.inner_text()
    assert "running" in table.inner_text()


def test_rows_may_be_machines_and_the_address_says_so(visitor: Visitor) -> None:
    page = visitor.goes("/timeline")
    page.get_by_role("combobox", name="Rows").select_option("machine")
    page.wait_for_url("**by=machine**")
    assert "attempt" in page.get_by_label("What the rows are").inner_text()


def test_a_span_in_which_nothing_was_says_so(visitor: Visitor) -> None:
    page = visitor.goes("/timeline?span=5m&until=1000000")
    assert "No job was here in this span" in page.locator("main").inner_text()


def test_a_span_that_there_is_not_is_told_with_those_that_there_are(visitor: Visitor) -> None:
    page = visitor.goes("/timeline?span=fortnight")
    assert "there is no span 'fortnight'" in page.locator("main").inner_text()
    assert "24h" in page.locator("main").inner_text()
