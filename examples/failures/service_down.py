"""A service that is down for a while, and a mistake in the program: one is tried again, one is not.

`fetch` asks a service at 127.0.0.1 (`-P port=…`). While nobody listens there, the connection is
refused: that heals, so makeway waits a little and tries again, from a budget of its own. `mistake`
has a wrong name in it: that would only fail again, so it is stopped at once.
"""

import socket

import makeway as mw


@mw.step(cpus=0.2)
def fetch(port: int) -> str:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as service:
        return service.makefile(encoding="utf-8").readline().strip()


@mw.step(cpus=0.2, retries=5)
def mistake() -> int:
    return len(fetched)  # noqa: F821 - the mistake


@mw.workflow
def service_down(port: int = 8099) -> str:
    mistake()
    return fetch(port)
