"""Threads that meet the same classes of values at once: what is known before can harm nobody."""

from __future__ import annotations

import subprocess
import sys

ROUNDS = 5
CROWD = """
import sys, threading
sys.setswitchinterval(1e-6)
import msgspec
from makeway.live.kinds import learn_kinds
from makeway.model.event import Event
from makeway.model.job import JobSpec

assert learn_kinds() > 50
spec = msgspec.json.encode(JobSpec(name="a", user="b", queue="c"))
event = b'{"type":"JobSubmitted","job":"x","spec":' + spec + b"}"
begin, read = threading.Barrier(6), []

def reads(kind, text):
    begin.wait()
    read.append(msgspec.json.Decoder(kind).decode(text))

crowd = [threading.Thread(target=reads, args=one) for one in [(Event, event), (JobSpec, spec)] * 3]
for thread in crowd:
    thread.start()
for thread in crowd:
    thread.join()
assert len(read) == 6
"""


def test_a_crowd_of_threads_reads_what_was_never_read_before() -> None:
    for _ in range(ROUNDS):  # one in four died when nothing was known before
        done = subprocess.run(
            [sys.executable, "-c", CROWD], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
