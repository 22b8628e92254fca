"""Open a trace, plain or compressed, and make a workload of it for a cluster that was asked for."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path

import msgspec

from makeway.errors import InvalidInput, NotFound
from makeway.sim.trace import Cost, Header, csv_rows, machines, swf_rows, workload
from makeway.sim.workload import Workload

NODES_MAX = 100_000
SLOTS_MAX = 100_000


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """The cluster that was asked for: nodes, and the GPUs (for SWF: the processors) of each."""

    nodes: int | None
    slots: int | None
    cost: Cost


def is_trace(path: str) -> bool:
    """Say whether a file is a trace, by its name; everything else is a scenario."""
    return _kind(path) in (".csv", ".swf")


def read_trace(path: str, asked: Asked) -> tuple[Workload, str]:
    """Read a trace to its end; give the workload, and what is to be said about it."""
    header = Header()
    if _kind(path) == ".csv":
        rows = [*csv_rows(_lines(path), path)]
    else:
        rows = [*swf_rows(_lines(path), path, header)]
    count, slots = _cluster(path, asked, header)
    if not rows:
        raise InvalidInput("there is no job in it", where=path)
    found = workload(rows, machines(count, slots), asked.cost)
    what = "processors" if _kind(path) == ".swf" else "GPUs"
    said = f"{len(rows):,} jobs on {count} nodes of {slots} {what}"
    return found, said + (f"; {header.left_out:,} never ran" if header.left_out else "")


def _kind(path: str) -> str:
    name = Path(path.removesuffix(".gz"))
    return name.suffix.lower()


def _cluster(path: str, asked: Asked, header: Header) -> tuple[int, int]:
    count, slots = asked.nodes, asked.slots
    if header.processors and (count is None or slots is None):
        # What the trace says of its machine fills in what was not asked for.
        count = count or header.nodes or 1
        slots = slots or max(1, header.processors // count)
    if count is None or slots is None:
        raise InvalidInput(
            "a trace does not say what it is to run on",
            where=path,
            hint="give --nodes N and --gpus-per-node M (for SWF, M is the processors of a node)",
        )
    if not (0 < count <= NODES_MAX and 0 < slots <= SLOTS_MAX):
        raise InvalidInput(f"there must be 1 to {NODES_MAX} nodes of 1 to {SLOTS_MAX}", where=path)
    return count, slots


def _lines(path: str) -> Iterator[str]:
    try:
        with (
            gzip.open(path, "rt", encoding="utf-8", newline="")
            if path.endswith(".gz")
            else Path(path).open(encoding="utf-8", newline="") as file
        ):
            yield from file
    except FileNotFoundError:
        raise NotFound("there is no such file", where=path) from None
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise InvalidInput(f"it cannot be read: {error}", where=path) from None
