"""Data that are kept in memory alone, and lost while somebody trains on them.

`ingest` keeps its output in the memory of the machine: quick, and gone with the process that holds
it. `train` reads it part by part, one part a second (`-P pause=…`). Kill the holder meanwhile, and
the training fails; makeway runs `ingest` again, once, and then `train`. With `-P durability=durable`
the same data lie in the store: whatever becomes of the process, nothing has to be made again. With
`-P trainings=2` two of them lose the same data, and wait for the same second run of `ingest`.
"""

import time
from pathlib import Path

import makeway as mw

PARTS = 5


@mw.step(cpus=0.2)
def ingest(rows: int) -> mw.File:
    with Path("table.csv").open("w", encoding="utf-8") as table:
        table.writelines(f"{row},{row * row}\n" for row in range(rows))
    return mw.File("table.csv")


@mw.step(cpus=0.2)
def train(data: mw.File, pause: float) -> int:
    total = 0
    for part in range(PARTS):
        with data.path.open(encoding="utf-8") as table:  # each part is read when it is its turn
            total += sum(int(row.split(",")[1]) for row in list(table)[part::PARTS])
        mw.progress(part + 1, PARTS)
        time.sleep(pause)
    return total


@mw.workflow
def data_in_memory(
    durability: str = "memory", trainings: int = 1, rows: int = 10_000, pause: float = 1.0
) -> list[int]:
    data = ingest.options(durability=durability)(rows)
    return [train(data, pause) for _ in range(trainings)]
