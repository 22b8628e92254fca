"""Begin to tell those that the configuration names; with nothing to tell, nothing is imported.

Raises:  InvalidInput: a receiver is named, and the client that speaks its language is not installed
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from makeway.errors import InvalidInput
from makeway.export.outlet import Outlet, Source
from makeway.live.config import Export
from makeway.store.database import Database


@contextmanager
def exporting(source: Source, reader: Database, wanted: Export) -> Iterator[Sequence[str]]:
    """Tell all that are named while the block runs; gives whom, in words."""
    outlets = [Outlet(source, receiver) for receiver in _receivers(reader, wanted)]
    for outlet in outlets:
        outlet.start()
    try:
        yield [f"{outlet.place.sink}, from entry {outlet.place.seq} on" for outlet in outlets]
    finally:
        for outlet in outlets:
            outlet.close()


def _receivers(reader: Database, wanted: Export) -> Iterator[Any]:
    if not (wanted.openlineage_url or wanted.otlp_url):
        return
    try:
        from makeway.export.receivers import OpenLineage, OpenTelemetry  # 0.3 s, and optional
    except ImportError as error:
        raise InvalidInput(
            f"other systems are to be told, and {error.name} is not installed",
            where="export",
            hint="pip install 'makeway[export]'",
        ) from error
    if url := wanted.openlineage_url:
        yield OpenLineage(reader, url, wanted.namespace, wanted.openlineage_key.text)
    if url := wanted.otlp_url:
        yield OpenTelemetry(reader, url, wanted.namespace)
