"""A program that takes 200 MB once the file that it is told of is there; it needs no makeway."""

import sys
import time
from pathlib import Path

door = Path(sys.argv[1])
while not door.exists():
    time.sleep(0.05)
rows = [b"x" * 10**6 for _ in range(180)]
time.sleep(1)
print(f"{len(rows)} rows", flush=True)
