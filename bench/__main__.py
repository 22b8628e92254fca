"""Print every measurement: `python -m bench`, or only some modules: `python -m bench commands`."""

from __future__ import annotations

import importlib
import os
import sys

from bench.rows import Row

MODULES = (
    *("commands", "workflows", "engine_events", "cycles", "mixed", "diagnoses", "worth"),
    *("service", "series", "search"),
)


def main() -> None:
    """Run the benches that were asked for, in order."""
    load = os.getloadavg()[0]
    print(f"{os.cpu_count()} processors, load {load:.1f}; min, median, max of repeats\n")
    for name in sys.argv[1:] or MODULES:
        for row in importlib.import_module(f"bench.{name}").rows():
            assert isinstance(row, Row)
            print(row.line(), flush=True)


if __name__ == "__main__":
    main()
