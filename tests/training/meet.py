"""One worker that meets with the others, says when, and adds up what all brought; or says who is missing."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import torch
import torch.distributed as dist

import makeway.torch as mwt
from makeway.training import session


def say(**facts: Any) -> None:
    """Write a line for whoever started this."""
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


class Told:
    """Says who is being waited for."""

    def metric(self, name: str, value: float, step: int | None) -> None:
        """Nothing is trained here."""

    def note(self, kind: str, key: str, value: object) -> None:
        """Say it."""
        say(note=kind, key=key, value=value)


say(began=time.time())
try:
    run = session.init(Told(), deadline_s=float(sys.argv[1]), hang_s=10)
except mwt.NotReady as error:
    say(not_ready=str(error))
    raise
say(met=time.time())
brought = torch.zeros(run.workers)
brought[run.rank] = run.rank + 10
dist.all_reduce(brought)
say(all=brought.tolist())
