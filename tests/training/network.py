"""Network namespaces of this machine's kernel, each with a link to one bridge that can be cut."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from typing import Self

import pytest


class Network:
    """Places 0, 1, 2 … that see each other over their links alone."""

    def __init__(self, places: int) -> None:
        """Make them; all links are down."""
        self._name = f"mw{secrets.token_hex(3)}"
        self._net = f"10.{secrets.randbelow(100) + 100}.{secrets.randbelow(250)}"
        self.places = range(places)
        self._ip("link", "add", self._name, "type", "bridge")
        self._ip("link", "set", self._name, "up")
        for place in self.places:
            self._make(place)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for place in self.places:
            with contextlib.suppress(subprocess.CalledProcessError):
                self._ip("netns", "del", self._space(place))
            with contextlib.suppress(subprocess.CalledProcessError):  # gone with its other end
                self._ip("link", "del", f"{self._name}h{place}")
        self._ip("link", "del", self._name)

    def address(self, place: int) -> str:
        """Give the address of a place."""
        return f"{self._net}.{place + 1}"

    def inside(self, place: int) -> list[str]:
        """Give what a command begins with to run there."""
        return ["ip", "netns", "exec", self._space(place)]

    def up(self, *places: int) -> None:
        """Let these places be reached."""
        for place in places:
            self._ip("link", "set", f"{self._name}h{place}", "up")

    def down(self, *places: int) -> None:
        """Cut the links of these places."""
        for place in places:
            self._ip("link", "set", f"{self._name}h{place}", "down")

    def _space(self, place: int) -> str:
        return f"{self._name}n{place}"

    def _make(self, place: int) -> None:
        here, there, space = f"{self._name}h{place}", f"{self._name}c{place}", self._space(place)
        self._ip("netns", "add", space)
        self._ip("link", "add", here, "type", "veth", "peer", "name", there, "netns", space)
        self._ip("link", "set", here, "master", self._name)
        inside = ["-n", space]
        self._ip(*inside, "addr", "add", f"{self.address(place)}/24", "dev", there)
        self._ip(*inside, "link", "set", "lo", "up")
        self._ip(*inside, "link", "set", there, "up")

    def _ip(self, *words: str) -> None:
        subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


def namespaces() -> str:
    """Say why there can be no network namespaces here; nothing: there can."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        return "network namespaces need root, and the program ip of iproute2"
    try:
        with Network(1):
            return ""
    except subprocess.CalledProcessError as error:
        return f"the kernel makes no network namespaces here: {error.stderr.strip()}"


@contextlib.contextmanager
def network(places: int) -> Iterator[Network]:
    """Give a network, or skip the test where there can be none."""
    if why := namespaces():
        pytest.skip(why)
    with Network(places) as made:
        yield made
