"""Begin and end: a port that is free, one that is taken, streams that are open."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from makeway.errors import Conflict, InvalidInput
from makeway.server.listen import bound
from tests.server.site import Site, Stream, site_in


def test_a_port_that_is_taken_says_by_whom() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(Conflict, match=f"taken by .*pid {os.getpid()}") as caught:
            bound("127.0.0.1", port)
    assert caught.value.where == f"127.0.0.1:{port}"


@pytest.mark.parametrize(
    "host, port", [("no.such.host.invalid", 0), ("192.0.2.1", 0), ("127.0.0.1", 99_999)]
)
def test_an_address_that_is_none_is_refused(host: str, port: int) -> None:
    with pytest.raises(InvalidInput, match=str(port)):
        bound(host, port)


def test_port_0_is_any_that_is_free_and_the_url_has_it(site: Site) -> None:
    assert site.running.url == f"http://127.0.0.1:{site.running.port}"
    assert site.running.port > 0


def test_it_ends_at_once_though_streams_are_open_and_nobody_reads_them(tmp_path: Path) -> None:
    with site_in(tmp_path / ".makeway") as site:
        streams = [Stream(site.ada, "/events?after=0") for _ in range(5)]
        began = time.monotonic()
        site.running.stop()
        assert time.monotonic() - began < 2
        assert site.running.wait(0)
        for one in streams:
            one.close()
        with socket.socket() as again:
            again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            again.bind(("127.0.0.1", site.running.port))


def test_it_ends_from_several_threads_at_once(tmp_path: Path) -> None:
    with site_in(tmp_path / ".makeway") as site:
        threads = [threading.Thread(target=site.running.stop) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert site.running.wait(0)


@pytest.mark.parametrize(
    "module", ["makeway.cli.main", "makeway.client.client", "makeway.live.desk"]
)
def test_who_needs_no_server_does_not_import_one(module: str) -> None:
    program = f"import sys, {module}; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"fastapi", "starlette", "uvicorn", "pydantic"} & {*loaded}
