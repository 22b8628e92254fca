"""A training that is too slow to matter, beside one that shares its work among all who are there.

    makeway submit -f slow.yaml --name slow -- python too_slow.py slow      (runs on, at 1 % a while)
    makeway submit -f slow.yaml --name slow -- python too_slow.py dies      (fails after five reports)
    makeway submit --name sibling --min 2 --max 3 -- python too_slow.py sibling work

`slow.yaml` says how fast it must be: `min_rate: 1000`, which is 1000 times all of it in an hour. Where
it is not, and others wait for room, it gets the lowest priority and makes room: the sibling grows and
needs fewer steps of each of its workers. With `on_hopeless: flag` in the file nothing is done about it.
"""

import os
import sys
import time
from pathlib import Path

import makeway as mw

PIECES = 200


def slow(*, dies: bool) -> None:
    """Come 1 % further each time, and fail at 5 % if it is to."""
    for percent in range(1, 100):
        mw.progress(percent, 100)
        if dies and percent == 5 and os.environ["MAKEWAY_ATTEMPT"] == "1":
            raise ConnectionResetError(104, "Connection reset by peer")
        time.sleep(0.3)


def sibling(work: Path) -> None:
    """Take the next piece that nobody has taken, until there is none left."""
    work.mkdir(exist_ok=True)
    mine = 0
    for piece in range(PIECES):
        try:
            (work / f"{piece:03}").touch(exist_ok=False)
        except FileExistsError:  # another worker has it
            continue
        mine += 1
        time.sleep(0.1)
    (work / f"rank-{os.environ['RANK']}").write_text(str(mine), encoding="utf-8")
    print(f"{mine} of {PIECES} steps were mine", flush=True)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["sibling", folder]:
            sibling(Path(folder))
        case ["slow" | "dies" as how]:
            slow(dies=how == "dies")
        case _:
            sys.exit(__doc__)
