"""Tell our own hosts and pages from those of others."""

from __future__ import annotations

import pytest

from makeway.server.hosts import host_name, wrong_host, wrong_origin

OURS = ("makeway.lab",)


@pytest.mark.parametrize(
    "host, name",
    [
        ("localhost", "localhost"),
        ("LocalHost:7070", "localhost"),
        ("[::1]:7070", "::1"),
        ("makeway.lab", "makeway.lab"),
        ("", None),
        ("a@b", None),
        ("a/b", None),
        ("a:port", None),
        ("[::1", None),
        ("a:99999", None),
    ],
)
def test_a_host_is_read_without_its_port(host: str, name: str | None) -> None:
    assert host_name(host) == name


@pytest.mark.parametrize(
    "hosts, good",
    [
        (["localhost:7070"], True),
        (["127.0.0.1"], True),
        (["[::1]:7070"], True),
        (["makeway.lab:443"], True),
        (["makeway.lab.evil.example"], False),
        (["evil.example"], False),
        ([], False),
        (["localhost", "evil.example"], False),
    ],
)
def test_a_host_is_ours_by_its_whole_name(hosts: list[str], good: bool) -> None:
    assert (wrong_host(hosts, OURS) is None) is good


@pytest.mark.parametrize(
    "origin, host, good",
    [
        (None, "localhost:7070", True),
        ("http://localhost:7070", "localhost:7070", True),
        ("http://LOCALHOST:7070", "localhost:7070", True),
        ("http://localhost:7071", "localhost:7070", False),
        ("http://127.0.0.1:7070", "localhost:7070", False),
        ("https://makeway.lab", "makeway.lab", True),
        ("http://makeway.lab:8080", "makeway.lab", False),
        ("https://pages.lab", "makeway.lab", True),
        ("ftp://localhost:7070", "localhost:7070", False),
        ("null", "localhost:7070", False),
        ("", "localhost:7070", False),
        ("http://localhost:x", "localhost:7070", False),
    ],
)
def test_a_page_is_ours_if_it_came_from_the_host_that_it_asks(
    origin: str | None, host: str, good: bool
) -> None:
    assert (wrong_origin(origin, host, "http", ["https://pages.lab"]) is None) is good
