"""The same stage, with an executor whose workers live on the nodes of a real Ray cluster."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

import msgspec

from makeway.executor.envoy import Keep
from makeway.executor.folder import AGENT, AgentRecord
from makeway.executor.ray import RayExecutor, RaySite
from tests.conformance.stage import Stage
from tests.scaleout.cluster import HEAD

SHORT_LEASE_MS = 6_000


class RayStage(Stage):
    """An executor on a store and a cluster; agents and their files are on this machine too."""

    home, address = "n1", "127.0.0.11"

    def __init__(self, store: Path, ray_address: str, *, lease_ms: int = 15_000) -> None:
        self._site = RaySite(address=ray_address, host=HEAD, lease_ms=lease_ms)
        super().__init__(store)

    def begin(self) -> RayExecutor:
        """Reach Ray."""
        return RayExecutor(self.store, self._site, sample_ms=100)

    def close(self) -> None:
        """End the stage; what a test left is ended too, and found to be gone by Ray."""
        assert isinstance(self.executor, RayExecutor)
        self.executor._envoy.ask(Keep(groups=()))
        self.executor.close()
        for file in self.store.rglob(AGENT):
            record = msgspec.json.decode(file.read_bytes(), type=AgentRecord)
            with contextlib.suppress(ProcessLookupError):
                os.kill(record.pid, signal.SIGKILL)
