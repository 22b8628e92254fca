"""Say which Host and Origin are ours, so that a foreign page cannot ask through a browser.

A page of a foreign site can let its own name point to 127.0.0.1 and then talk to us as if we were
that site (DNS rebinding): the Host header still bears the foreign name. Ours are: the address that
the connection came to, the names of this machine's own loopback, and what the settings name. The
Origin, if there is one, must be the very host that was asked.

Gives:   the error with which a request is refused, or None
Source:  RFC 9110 7.2 (Host), RFC 6454 (Origin)
"""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import urlsplit

from makeway.errors import MakewayError
from makeway.server.problems import WrongHost, WrongOrigin

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
PORTS = {"http": 80, "https": 443}
HINT = "name it in the configuration (allowed_hosts) if this is one of the service's names"


def wrong_host(hosts: Collection[str], ours: Collection[str]) -> MakewayError | None:
    """Check the Host headers of a request; `ours` are names in lower case, without ports."""
    if len(hosts) != 1:
        return WrongHost("there must be one Host", where="header Host")
    name = host_name(next(iter(hosts)))
    if name is None or (name not in LOOPBACK and name not in ours):
        return WrongHost("this service does not go by that name", where="header Host", hint=HINT)
    return None


def wrong_origin(
    origin: str | None, host: str, scheme: str, allowed: Collection[str]
) -> MakewayError | None:
    """Check the Origin of a request to `host`, which is ours; no Origin is no browser's page."""
    if origin is None or origin in allowed:
        return None
    problem = "a page of another site may not ask here"
    wrong = WrongOrigin(problem, where="header Origin", hint="see allowed_origins")
    try:
        parts = urlsplit(origin)
        port = parts.port or PORTS.get(parts.scheme)
        asked = urlsplit(f"{scheme}://{host}")
        # A proxy may speak TLS for us: then the page's scheme and port are those of the proxy.
        ports = {asked.port} if asked.port else {*PORTS.values()}
    except ValueError:
        return wrong
    same = parts.hostname == asked.hostname and port in ports
    return None if same and parts.scheme in PORTS else wrong


def host_name(host: str) -> str | None:
    """Give the name in a Host header, in lower case and without its port; None: it is none."""
    if not host or any(letter in host for letter in "/?#@\\ "):
        return None
    try:
        parts = urlsplit(f"//{host}")
        named = parts.port is None or parts.port > 0
    except ValueError:
        return None
    return parts.hostname if named else None
