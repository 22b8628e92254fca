"""What a search found is counted by what it has in common, and searches are kept for their owners."""

from __future__ import annotations

import pytest

from makeway.errors import InvalidInput
from makeway.lineage.query import parse
from makeway.store.database import Database
from makeway.store.facets import Facet, condition, facets
from makeway.store.saved import (
    SEARCHES_MAX,
    SavedSearch,
    forget_search,
    save_search,
    saved_searches,
)
from makeway.store.search import search
from makeway.store.sparks import sparks
from tests.store.plain_search import PlainRun, PlainStep
from tests.store.test_search import lived, recorded, stored

__all__ = ["lived"]


def counted(found: list[Facet], name: str) -> dict[str, int]:
    """Give the values of a facet with their counts."""
    return {value.text: value.count for one in found if one.name == name for value in one.values}


def test_every_count_is_what_its_condition_finds(lived: Database) -> None:
    for kind in ("runs", "steps", "models", "datasets", "artifacts"):
        found = facets(lived, None, kind, "")
        assert found, kind
        for facet in found:
            for value in facet.values:
                total = search(lived, parse(value.condition), kind, text=value.condition).total
                assert total == value.count, (kind, value.condition)


def test_only_what_was_found_is_counted(lived: Database) -> None:
    text = "failure.cause IS NOT NULL"
    found = list(facets(lived, parse(text), "steps", text))
    assert sum(counted(found, "state").values()) == search(lived, parse(text), "steps").total
    assert counted(found, "name") == {"by-hand": 1}


def test_nothing_in_the_store_has_nothing_in_common(database: Database) -> None:
    assert facets(database, None, "runs", "") == []


def test_a_value_with_quotes_is_asked_for_as_it_is() -> None:
    [value] = parse(condition("name", "it's")).values  # type: ignore[union-attr] # one comparison
    assert value == "it's"


def test_steps_come_in_the_order_of_their_own_metric_and_parameter(database: Database) -> None:
    steps = [
        PlainStep(name, "succeeded", metrics={"x": value}, params={"p": value})
        for name, value in (("a", 2.0), ("b", 3.0), ("c", 1.0))
    ]
    stored(database, [PlainRun("r1", "w", 5, {}, steps)])
    for name in ("metrics.x", "params.p"):
        found = search(database, None, "steps", order_by=(f"{name} DESC",))
        assert [item.name for item in found.items] == ["b", "a", "c"], name


def test_the_shape_of_a_metric_is_that_of_the_newest_attempt(lived: Database) -> None:
    recorded(lived, "j0002", 1, 3.0, 1.0, 2.0)
    recorded(lived, "j0002", 2, 5.0, float("nan"), 4.0)
    assert sparks(lived, ["j0002", "j0003"], "loss", by_run=True) == {"j0002": [5.0, 4.0]}
    assert sparks(lived, [], "loss", by_run=False) == {}


def test_a_search_is_kept_for_its_owner_alone_and_given_anew(database: Database) -> None:
    save_search(database, "ada", SavedSearch(name="bad", kind="steps", query="state = 'failed'"))
    save_search(database, "ada", SavedSearch(name="bad ", kind="runs", query="", orders="name"))
    [kept] = saved_searches(database, "ada")
    assert (kept.name, kept.kind, kept.orders) == ("bad", "runs", "name")
    assert saved_searches(database, "eve") == []
    forget_search(database, "eve", "bad")
    assert len(saved_searches(database, "ada")) == 1
    forget_search(database, "ada", "bad")
    forget_search(database, "ada", "bad")
    assert saved_searches(database, "ada") == []


def test_what_nobody_could_look_through_is_not_kept(database: Database) -> None:
    for name, query in ((" ", ""), ("n" * 81, ""), ("n", "q" * 2_001)):
        with pytest.raises(InvalidInput):
            save_search(database, "ada", SavedSearch(name=name, kind="runs", query=query))
    for at in range(SEARCHES_MAX):
        save_search(database, "ada", SavedSearch(name=f"n{at}", kind="runs", query=""))
    with pytest.raises(InvalidInput, match="kept already"):
        save_search(database, "ada", SavedSearch(name="one more", kind="runs", query=""))
    save_search(database, "ada", SavedSearch(name="n0", kind="steps", query=""))
