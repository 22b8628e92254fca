"""Give a worker what this machine has for it: GPUs, processors, a cgroup, an environment.

What a worker was given stands in its `launch.json`, so that it is known after a restart (`hold`).
"""

from __future__ import annotations

import functools
import hashlib
import os
from pathlib import Path

import msgspec

from makeway.executor import cgroups
from makeway.executor.devices import WHOLE, Devices
from makeway.executor.folder import worker_folder
from makeway.executor.gpus import gpu_count
from makeway.executor.protocol import Launch
from makeway.model.effect import LaunchWorkers, ResizeWorkers
from makeway.model.resources import CPU, GPU, NOTHING, Resources


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """What the workers of this machine have in common, by its settings.

    gpus            how many each node has: by its name, or one number for all; None: each has those
                    that are found in this machine
    pin             processors are given out whole, as far as whole ones are asked for
    cgroups         limit memory by a cgroup where we may; if not, the agents watch by themselves
    users_required  a worker whose user is no Unix user here does not start at all; if not, it runs
                    as whoever runs the controller
    run_as_user     a worker runs as its user where we may; if not, always as who runs the controller
    environment     variables of every worker; a program's own come before them
    """

    gpus: int | dict[str, int] | None = None
    pin: bool = False
    cgroups: bool = True
    users_required: bool = False
    run_as_user: bool = True
    environment: dict[str, str] = {}


class Equipment:
    """What a machine has to give to its workers: GPUs, processors, cgroups."""

    def __init__(self, site: Site) -> None:
        """Take the settings; what the machine permits is found out when it is first needed."""
        self._site, self._gpus = site, Devices(gpu_count() if site.gpus is None else site.gpus)
        self._processors = tuple(sorted(os.sched_getaffinity(0))) if site.pin else ()
        self._pinned = Devices(len(self._processors))

    def equipped(self, launch: Launch, asked: Resources) -> Launch:
        """Give a launch with all that its worker is to have."""
        worker = self._folder(launch)
        devices, processors, cgroup = None, launch.processors, ""
        if asked[GPU] or self._gpus.count(launch.node):
            devices = self._gpus.take(worker, launch.node, asked[GPU])
        if whole := asked[CPU] // WHOLE * WHOLE if self._processors else 0:
            processors = tuple(
                self._processors[number] for number in self._pinned.take(worker, "", whole)
            )
        if launch.memory_bytes and self._parent is not None:
            name = hashlib.sha256(worker.encode()).hexdigest()[:16]
            cgroup = str(self._parent / f"makeway-{name}")
        return msgspec.structs.replace(
            launch,
            devices=devices,
            processors=processors,
            cgroup=cgroup,
            user=launch.user if self._site.run_as_user else "",
            users_required=self._site.users_required,
            environment=self._site.environment,
        )

    @functools.cached_property
    def _parent(self) -> Path | None:
        return cgroups.parent_of_workers() if self._site.cgroups else None

    def hold(self, launch: Launch, asked: Resources) -> None:
        """Know what a worker has that was launched before a restart."""
        worker = self._folder(launch)
        if launch.devices:
            self._gpus.hold(worker, launch.node, launch.devices, asked[GPU])
        numbers = tuple(
            self._processors.index(each) for each in launch.processors if each in self._processors
        )
        if numbers:
            self._pinned.hold(worker, "", numbers, len(numbers) * WHOLE)

    def give_back(self, folder: Path) -> None:
        """Forget a worker that has left."""
        self._gpus.give_back(str(folder))
        self._pinned.give_back(str(folder))

    def _folder(self, launch: Launch) -> str:
        store = Path(launch.store)
        return str(worker_folder(store, launch.job, launch.number, launch.rank))


def asked_by(order: LaunchWorkers | ResizeWorkers) -> list[Resources]:
    """Give what each rank is to have, in order."""
    shape = order.spec.shape()
    return [shape.get(row.group, NOTHING) for _, row, _ in order.allocation.ranks()]
