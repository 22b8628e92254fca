"""Where a model comes from, why two differ, what data sets and models were worth, as pages."""

from __future__ import annotations

from urllib.parse import quote

from playwright.sync_api import expect

from makeway.model.lineage import Lineage, Made, Maker, Use
from makeway.server.pages.lineage_graph import drawn
from makeway.server.pages.ranges import range_of, scale_of
from tests.pages.town import Town, Visitor


def test_a_model_stands_in_the_middle_and_opens_a_step_at_a_time(visitor: Visitor) -> None:
    page = visitor.goes("/lineage?ref=crf")
    picture = page.locator("svg.lineage")
    for name in ("ingest:1", "train-crf", "crf:1", "serve-crf"):
        expect(picture.get_by_role("link").filter(has_text=name).first).to_be_visible()
    expect(picture.locator("a[href*='.ingest']")).to_have_count(0)
    page.get_by_role("link", name="One step further back").click()
    page.wait_for_url("**up=2**")
    expect(picture.locator("a[href$='.ingest']")).to_have_count(1)
    expect(page.get_by_role("link", name="Back to the beginning")).to_have_count(0)
    steps = page.get_by_role("region", name="Steps").first
    expect(steps.get_by_role("row").filter(has_text="train-crf")).to_contain_text("ingest:1")
    picture.get_by_role("link").filter(has_text="ingest:1").click()
    expect(page.locator("h1")).to_have_text("ingest:1")


def test_what_is_not_there_is_told_with_its_hint(visitor: Visitor, town: Town) -> None:
    page = visitor.goes("/lineage?ref=crff")
    said = town.shop.types("lineage", "crff", expect=3).stderr
    told = page.locator("main .note p").inner_text().partition(": ")[2]
    assert told in said


def test_two_models_differ_as_the_command_says(visitor: Visitor, town: Town) -> None:
    page = visitor.goes("/lineage?ref=crf")
    page.get_by_label("Other artifact").fill("lstm")
    page.get_by_role("button", name="Compare").click()
    rows = page.get_by_role("region", name="What was not the same").get_by_role("row")
    name = rows.filter(has_text="param").filter(has_text="name")
    expect(name).to_contain_text("crf")
    expect(name).to_contain_text("lstm")
    found = town.shop.reads("lineage", "--diff", "crf", "lstm")["differences"]
    own = [one for one in found if not one["name"].startswith(("system/", "available/"))]
    expect(page.locator("main section .wide").first.locator("tbody tr")).to_have_count(len(own))
    page.goto(f"{town.url}/lineage/diff?a=crf&b=crf")
    expect(page.locator("main")).to_contain_text("both are the same")


def test_too_few_pairs_are_never_ranked(visitor: Visitor) -> None:
    page = visitor.goes("/datasets")
    data = page.get_by_role("region", name="What each data set adds").first
    expect(data.get_by_role("row").filter(has_text="ingest")).to_contain_text("too few")
    expect(page.get_by_role("columnheader", name="Rank")).to_have_count(0)
    models = page.get_by_role("region", name="Models: which no other outdoes").first
    expect(models.locator("svg.scatter a.best")).not_to_have_count(0)
    models.get_by_role("row").filter(has_text="crf").get_by_role("link").first.click()
    expect(page.locator("h1")).to_have_text("crf:1")


def test_a_wide_fan_out_is_one_pile_until_it_is_opened() -> None:
    count = 40
    lineage = Lineage(
        root="data",
        artifacts=(Made(digest="data", kind="dataset", name="data"),),
        steps=tuple(
            Maker(id=f"r.train-{k}", name=f"train-{k}", state="failed") for k in range(count)
        ),
        uses=tuple(Use(step=f"r.train-{k}", digest="data", role="input") for k in range(count)),
    )
    where = "/lineage?open={}".format
    folded = drawn(lineage, (), where)
    assert folded.folded == count - 1
    assert "train ×40" in folded.picture
    pile = next(one for one in lineage.steps if where(quote(one.id)) in folded.picture)
    assert drawn(lineage, {pile.id}, where).folded == 0


def test_an_interval_with_zero_in_it_does_not_look_sure() -> None:
    scale = scale_of([-1.0, 0.0, 3.0])
    assert 'class="range"' in range_of(scale, (-1.0, 1.0, 3.0), told="lift")
    assert 'class="range sure"' in range_of(scale, (1.0, 2.0, 3.0), told="lift")
