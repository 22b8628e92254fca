"""What workers have measured, asked for over HTTP: sums, windows, and no more points than wanted."""

from __future__ import annotations

import math

import pytest

from makeway.client.client import Client
from makeway.model.record import Sample
from makeway.store.series_writer import SeriesWriter
from makeway.wire.series import SeriesWanted
from makeway.wire.tokens import Scope
from tests.server.site import JOB, Site, assert_problem

BEGIN_MS = 1_750_000_000_000


@pytest.fixture(scope="module")
def job(site: Site) -> str:
    """Give a job that has recorded 5 000 losses and a few other things."""
    job: str = site.ada.post("/jobs", {**JOB, "name": "curves"}).json["id"]
    writer = SeriesWriter(site.service.database)
    losses = [
        Sample(name="loss", at_ms=BEGIN_MS + 1000 * n, value=1 / (n + 1), step=n)
        for n in range(5_000)
    ]
    writer.add(job, 1, 0, losses)
    for rank, value in enumerate((math.nan, math.inf, 3.0)):
        sample = Sample(name="system/memory_usage_bytes", at_ms=BEGIN_MS, value=value)
        writer.add(job, 2, rank, [sample])
    writer.flush()
    return job


def test_series_come_with_their_sums_and_few_points(site: Site, job: str) -> None:
    loss, *memory = site.ada.get(f"/series?job={job}&max_points=50").items
    assert (loss["name"], loss["attempt"], loss["rank"], loss["n"]) == ("loss", 1, 0, 5_000)
    assert (loss["kind"], loss["max"], loss["last_step"]) == ("user", 1.0, 4_999)
    assert loss["mean"] == pytest.approx(sum(1 / n for n in range(1, 5_001)) / 5_000)
    assert loss["trend"] < 0
    assert 10 < len(loss["points"]) <= 50
    assert loss["points"][0] == [BEGIN_MS / 1000, 0, 1.0]
    assert loss["points"][-1] == [BEGIN_MS / 1000 + 4_999, 4_999, 1 / 5_000]
    assert [(one["rank"], one["unit"], one["kind"]) for one in memory] == [
        (rank, "bytes", "system") for rank in range(3)
    ]
    # JSON has no number for these.
    assert [one["points"] for one in memory] == [
        [[BEGIN_MS / 1000, None, value]] for value in (None, None, 3.0)
    ]


def test_the_same_is_asked_by_the_name_of_a_step_and_of_one_series(site: Site, job: str) -> None:
    only = site.ada.get(f"/series?step={job}&name=loss&max_points=0").items
    assert [(one["name"], one["points"]) for one in only] == [("loss", [])]
    assert site.ada.get(f"/series?job={job}&attempt=2&rank=1").items[0]["rank"] == 1
    assert site.ada.get(f"/series?job={job}&name=accuracy").items == []


def test_a_window_includes_both_its_ends(site: Site, job: str) -> None:
    begin = BEGIN_MS // 1000
    window = f"from={begin + 10}&to={begin + 12}"
    [loss] = site.ada.get(f"/series?job={job}&name=loss&{window}").items
    assert [point[1] for point in loss["points"]] == [10, 11, 12]
    assert loss["n"] == 5_000
    [none] = site.ada.get(f"/series?job={job}&name=loss&from={begin + 10.1}&to=9").items
    assert none["points"] == []


def test_series_are_given_page_by_page(site: Site, job: str) -> None:
    names, cursor = [], ""
    while True:
        page = site.ada.get(f"/series?job={job}&limit=3{cursor}&max_points=0").json
        names.append([one["rank"] for one in page["items"]])
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert names == [[0, 0, 1], [2]]


@pytest.mark.parametrize(
    "query, word",
    [
        ("max_points=3", "max_points"),
        ("max_points=-1", "max_points"),
        ("max_points=10001", "max_points"),
        ("max_points=many", "max_points"),
        ("from=nan", "from"),
        ("to=1e300", "to"),
        ("from=inf", "from"),
        ("cursor=abc", "cursor"),
        ("limit=0", "limit"),
        ("attempt=0", "attempt"),
        ("rank=-1", "rank"),
        ("points=5", "points"),
        ("step=x", "job"),
    ],
)
def test_a_question_that_is_wrong_says_where(site: Site, job: str, query: str, word: str) -> None:
    assert_problem(site.ada.get(f"/series?job={job}&{query}"), 422, "bad-input", word)


def test_nobody_s_series_are_not_found(site: Site) -> None:
    assert_problem(site.ada.get("/series"), 422, "bad-input", "job")
    assert_problem(site.ada.get("/series?job=none"), 404, "not-found", "none")
    assert_problem(site.person("sub", Scope.SUBMIT).get("/series?job=x"), 403, "not-allowed")


def test_the_client_asks_the_same(site: Site, job: str) -> None:
    asked = SeriesWanted(job=job, name="loss", max_points=10, to_s=BEGIN_MS / 1000 + 100)
    with Client(site.running.url, site.ada.token) as client:
        [loss] = client.series(asked).items
    assert loss.n == 5_000
    assert 4 <= len(loss.points) <= 10
    assert loss.points[-1][1] == 100
