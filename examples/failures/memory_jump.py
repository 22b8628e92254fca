"""A step whose memory jumps to 200 MB under a limit of 128 MB: it is tried again with more.

For a while it needs little. Then it builds a table, and the kernel, or makeway's own guard, ends it
at its limit. Nothing is wrong with the program, so the next attempt gets what the jump asks for, at
most `max_memory`, whatever `retries` says.
"""

import time

import makeway as mw

MB = 10**6


@mw.step(cpus=0.2, memory="128MB", max_memory="1GB")
def table() -> int:
    time.sleep(2.5)  # long enough to be measured while it is small
    rows = [b"x" * MB for _ in range(180)]
    time.sleep(1.5)
    return len(rows)


@mw.workflow
def memory_jump() -> int:
    return table()
