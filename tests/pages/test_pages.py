"""What stands on the first pages: the cluster, the queue, jobs, runs and steps."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.pages.town import Town, Visitor


def test_the_cluster_shows_queues_machines_and_the_last_day(visitor: Visitor) -> None:
    page = visitor.goes("/")
    queues = page.get_by_role("region", name="Queues")
    expect(queues.get_by_role("row").nth(1)).to_contain_text("root")
    expect(queues.get_by_role("img", name="of the cluster, due")).to_be_visible()
    machines = page.get_by_role("region", name="Machines")
    expect(machines.get_by_text("ready")).to_be_visible()
    expect(page.get_by_role("img", name="by queue over the last 24 hours")).to_be_visible()
    page.get_by_text("As a table").click()
    table = page.get_by_role("group", name="The last 24 hours as a table")
    expect(table.get_by_role("row")).to_have_count(25)


def test_the_queue_says_why_in_its_place_and_what_would_start_it(
    visitor: Visitor, town: Town
) -> None:
    page = visitor.goes("/queue")
    expect(page.locator("main")).to_contain_text("Held: it is held")
    page.get_by_text("What would start it").first.click()
    expect(page.locator("main")).to_contain_text("release")
    page.get_by_role("link", name="What if it were different?").first.click()
    expect(page.locator("main")).to_contain_text("it would start at once")
    assert town.shop.phase(town.held) == "queued", "it was only simulated"


def test_a_job_says_where_it_stands(visitor: Visitor, town: Town) -> None:
    page = visitor.goes(f"/jobs/{town.running}")
    expect(page.locator(".head .state")).to_have_text("running")
    page.get_by_role("link", name="Diagnosis, charts and log").click()
    expect(page.get_by_label("Log", exact=True)).to_contain_text("document.title")


def test_the_graph_shows_every_step_with_its_state_in_words(visitor: Visitor, town: Town) -> None:
    page = visitor.goes(f"/runs/{town.run}")
    graph = page.locator("svg.dag")
    for name, state in (("ingest", "succeeded"), ("train-crf", "succeeded"),
                        ("train-bert", "failed"), ("serve-bert", "omitted")):  # fmt: skip
        expect(graph.locator(f"a[href$='.{name}']")).to_contain_text(state)
    graph.locator("a[href$='.train-bert']").click()
    expect(page.locator("h1")).to_have_text("train-bert")


def test_a_run_says_what_failed_and_what_that_holds_up(visitor: Visitor, town: Town) -> None:
    page = visitor.goes(f"/runs/{town.run}")
    trouble = page.get_by_role("region", name="What failed")
    expect(trouble).to_contain_text("no column 'label' in the table")
    expect(trouble).to_contain_text("holds up serve-bert")
    expect(trouble).to_contain_text(f"makeway resume {town.run}")


def test_a_step_says_in_one_page_why_and_what_next(visitor: Visitor, town: Town) -> None:
    page = visitor.goes(f"/steps/{town.run}.train-bert")
    card = page.get_by_role("region", name="Why attempt 1 failed")
    for words in ("CODE_ERROR", "permanent", "established", "What happens next", "stop",
                  "Ledger: nothing is charged", "Evidence", "flow.py:", "Ruled out"):  # fmt: skip
        expect(card).to_contain_text(words)
    said = town.shop.types("diagnose", f"{town.run}.train-bert").stdout
    assert card.locator("p").nth(1).inner_text() in said, "the command says it otherwise"


def test_charts_have_one_axis_and_their_tables(visitor: Visitor, town: Town) -> None:
    page = visitor.goes(f"/steps/{town.run}.train-bert")
    accuracy = page.locator("[data-panel=accuracy]")
    expect(accuracy.locator("canvas")).to_be_visible()
    expect(page.locator("[data-panel=progress] canvas")).to_be_visible()
    accuracy.get_by_text("As a table").click()
    expect(accuracy.locator("tbody tr")).to_have_count(9)
    expect(accuracy.locator("tbody tr").last).to_contain_text("0.84")
    expect(page.get_by_text("attempt 1 ends: CODE_ERROR")).to_be_visible()


def test_a_step_that_never_began_says_so(page: Page, town: Town) -> None:
    page.goto(f"{town.url}/steps/{town.run}.serve-bert")
    expect(page.locator(".head .state")).to_have_text("omitted")
    expect(page.locator("main")).to_contain_text("train-bert failed")
