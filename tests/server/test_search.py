"""Search over HTTP: the language, the pages, and what is wrong."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from makeway.client.client import Client
from makeway.wire.search import SearchWanted
from tests.server.site import Site, assert_problem


def asked(text: str) -> str:
    return f"/search?query={quote(text)}"


def test_jobs_are_found_by_their_name_and_page_by_page(site: Site) -> None:
    names = [f"sought-{n}" for n in range(3)]
    for name in names:
        site.ada.submit(name=name)
    path = f"{asked('name LIKE ' + repr('sought-%'))}&limit=2"
    page = site.ada.get(path).json
    assert page["total"] == 3
    rest = site.ada.get(f"{path}&cursor={page['next_cursor']}").json
    found = [item["name"] for item in (*page["items"], *rest["items"])]
    assert (found, rest["next_cursor"]) == (names[::-1], None)


def test_the_client_finds_what_http_finds(site: Site) -> None:
    site.ada.submit(name="by-client")
    with Client(site.running.url, site.ada.token) as client:
        found = client.search(
            SearchWanted(query="name = 'by-client'", order_by=("submitted DESC", "name"))
        )
    assert [(item.name, item.user) for item in found.items] == [("by-client", "ada")]


@pytest.mark.parametrize(
    "query, word",
    [
        (quote("nmae = 'x'"), "nearest is name"),
        (quote("name = "), "query:8"),
        (quote("name > 5"), "single quotes"),
        ("&kind=dogs", "dogs"),
        ("&limit=0", "limit"),
        ("&cursor=x", "cursor"),
        ("&order_by=steps.name", "order"),
        ("&colour=red", "colour"),
    ],
)
def test_what_is_wrong_is_said_with_where_it_stands(site: Site, query: str, word: str) -> None:
    assert_problem(site.ada.get(f"/search?query={query}"), 422, "bad-input", word)


def test_what_is_not_on_record_has_no_lineage_and_no_worth(site: Site) -> None:
    assert_problem(site.ada.get("/lineage/nobody/knows:3"), 404, "not-found", "nobody/knows:3")
    assert_problem(site.ada.get("/lineage/a/diff?other=b"), 404, "not-found")
    assert_problem(site.ada.get("/lineage/a/diff"), 422, "bad-input", "other")
    assert_problem(site.ada.get("/lineage/a?up=21"), 422, "bad-input", "up")
    for path in ("/datasets", "/models"):
        assert site.ada.get(path).json == {"items": [], "next_cursor": None}
