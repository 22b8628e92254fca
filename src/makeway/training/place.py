"""Read from the environment which worker this is, where all meet, and where work is saved.

Three worlds look alike to a training program: makeway (everything is set), torchrun (the ranks and
the address are), and a plain `python train.py`, which is one worker on its own.

Raises:  InvalidInput, for a variable that is not what torchrun would set
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from makeway.errors import InvalidInput


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Who a worker is.

    folder      the worker's own, in makeway; None: nobody watches, nothing is recorded
    checkpoint  where the job saves its work; None: a plain program, nothing is saved
    together    there is an address to meet at
    """

    rank: int = 0
    workers: int = 1
    local_rank: int = 0
    address: str = "127.0.0.1"
    port: int = 0
    generation: int = 0
    fence: int = 0
    least: int = 1
    most: int = 1
    folder: Path | None = None
    checkpoint: Path | None = None
    together: bool = False
    live: bool = False


def place_of(environment: Mapping[str, str] = os.environ) -> Place:
    """Read who this worker is."""

    def number(name: str, otherwise: int) -> int:
        value = environment.get(name, "")
        try:
            return int(value) if value else otherwise
        except ValueError:
            raise InvalidInput(f"{value!r} is not a whole number", where=name) from None

    folder, saved = environment.get("MAKEWAY_DIR"), environment.get("MAKEWAY_CHECKPOINT")
    workers, rank = number("WORLD_SIZE", 1), number("RANK", 0)
    if not 0 <= rank < workers:
        raise InvalidInput(f"rank {rank} is none of {workers} workers", where="RANK")
    return Place(
        rank=rank,
        workers=workers,
        local_rank=number("LOCAL_RANK", 0),
        address=environment.get("MASTER_ADDR", "127.0.0.1"),
        port=number("MASTER_PORT", 0),
        generation=number("MAKEWAY_GENERATION", number("TORCHELASTIC_RESTART_COUNT", 0)),
        fence=number("MAKEWAY_FENCE", 0),
        least=number("MAKEWAY_MIN", workers),
        most=number("MAKEWAY_MAX", workers),
        folder=Path(folder) if folder else None,
        checkpoint=Path(saved) if saved else None,
        together="RANK" in environment and "MASTER_PORT" in environment,
        live=environment.get("MAKEWAY_ELASTIC") == "live",
    )
