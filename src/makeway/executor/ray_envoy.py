"""Speak to Ray on behalf of the controller: the process that `envoy.Envoy` keeps.

Started as `python -m makeway.executor.ray_envoy FD ADDRESS HOUSE`. All that it makes is detached,
in the namespace of the house, and named so that its successor finds it: seats (actors) by their own
names, groups (placement groups) by `HOUSE/…`. It remembers nothing that is not in Ray.

Each bundle of a group is pinned to the node that makeway chose, by the label that Ray itself gives
to each node; Ray decides nothing. It ends when its socket does.

Source:  docs.ray.io: placement groups, labels (`bundle_label_selector`), detached actors
"""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import msgspec
import ray
from ray.util import placement_group, placement_group_table, remove_placement_group
from ray.util.placement_group import PlacementGroup, get_placement_group
from ray.util.scheduling_strategies import (
    NodeAffinitySchedulingStrategy,
    PlacementGroupSchedulingStrategy,
)

from makeway.executor.envoy import (
    Connected,
    Echo,
    Echoed,
    Find,
    Found,
    Free,
    FromEnvoy,
    Keep,
    Left,
    Nodes,
    Place,
    Placed,
    Sweep,
    ToEnvoy,
)
from makeway.executor.protocol import Failed, Frames, send
from makeway.executor.ray_nodes import nodes_of
from makeway.executor.ray_seat import Seat, seen
from makeway.model.record import Exit

LOOK_S = 1.0
NODE_ID = "ray.io/node-id"
GONE = ("REMOVED",)
THREADS = 4  # of a seat: who waits for its end must not keep others from asking


class RayEnvoy:
    """The one who speaks; see the module."""

    def __init__(self, control: socket.socket, house: str) -> None:
        """Take the socket to the executor, and the name of the house; Ray is connected."""
        self._control, self._house = control, house
        self._nodes = nodes_of(ray.nodes())
        self._saying = threading.Lock()
        self._seat_class = ray.remote(Seat)
        self._seats: dict[str, Any] = {}
        self._taken: set[str] = set()
        self._groups: dict[str, PlacementGroup] = {}

    def say(self, word: FromEnvoy) -> None:
        """Say something, from any thread."""
        with self._saying, contextlib.suppress(OSError):
            send(self._control, word)

    def serve(self) -> None:
        """Do what is asked, until nobody asks any more."""
        self.say(Connected(address=ray.util.get_node_ip_address(), nodes=self._nodes))
        threading.Thread(target=self._watch_nodes, daemon=True).start()
        frames: Frames[ToEnvoy] = Frames(ToEnvoy)
        while data := self._control.recv(1 << 18):
            for message in frames.feed(data):
                match message:
                    case Keep(groups=groups):
                        self._keep(groups)
                    case Place():
                        self._place(message)
                    case Find(folder=folder, seat=seat):
                        self._find(folder, seat)
                    case Sweep(folder=folder, seat=seat):
                        self._sweep(folder, seat)
                    case Free(group=group):
                        self._free(group)
                    case Echo():
                        self._echo(message)

    # ── nodes ─────────────────────────────────────────────────────────────────────────────────────

    def _watch_nodes(self) -> None:
        while True:
            time.sleep(LOOK_S)
            nodes = nodes_of(ray.nodes())
            if nodes != self._nodes:
                self._nodes = nodes
                self.say(Nodes(nodes=nodes))

    def _echo(self, asked: Echo) -> None:
        there = NodeAffinitySchedulingStrategy(asked.node_id, soft=False)
        options = {"num_cpus": 0, "scheduling_strategy": there}

        def echoed(answer: object) -> Echoed:
            version, sees = msgspec.convert(answer, tuple[str, bool])
            return Echoed(node_id=asked.node_id, version=version, sees=sees)

        self._then(ray.remote(seen).options(**options).remote(asked.path), echoed, None)

    # ── groups and seats ──────────────────────────────────────────────────────────────────────────

    def _keep(self, names: tuple[str, ...]) -> None:
        ours = f"{self._house}/"
        for row in placement_group_table().values():
            name, there = row["name"], row["state"] not in GONE
            if name.startswith(ours) and there and name not in names:
                self._free(name)

    def _place(self, message: Place) -> None:
        try:
            group = self._group(message)
            amounts = dict(message.bundles[message.index].amounts)
            seat = self._seat_class.options(
                name=message.seat,
                namespace=self._house,
                lifetime="detached",
                get_if_exists=True,
                max_restarts=0,
                max_concurrency=THREADS,
                num_cpus=amounts.pop("CPU", 0),
                num_gpus=amounts.pop("GPU", 0),
                memory=amounts.pop("memory", None),
                resources=amounts,
                scheduling_strategy=PlacementGroupSchedulingStrategy(group, message.index),
            ).remote(message.folder, msgspec.json.encode(message.terms))
        except Exception as error:  # noqa: BLE001 - whatever Ray says is told of this worker
            self.say(Left(folder=message.folder, seat=message.seat, problem=_text(error)))
            return
        self._seats[message.seat] = seat
        self._listen(message.folder, message.seat, seat)

    def _group(self, message: Place) -> PlacementGroup:
        name = message.group
        if name not in self._groups:
            with contextlib.suppress(ValueError):
                self._groups[name] = get_placement_group(name)
                return self._groups[name]
            self._groups[name] = placement_group(
                [bundle.amounts for bundle in message.bundles],
                strategy="PACK",
                name=name,
                lifetime="detached",
                bundle_label_selector=[{NODE_ID: bundle.node_id} for bundle in message.bundles],
            )
        return self._groups[name]

    def _find(self, folder: str, name: str) -> None:
        try:
            seat = ray.get_actor(name, namespace=self._house)
        except ValueError:
            self.say(Found(folder=folder, seat=name, there=False))
            return
        self._seats[name] = seat
        self.say(Found(folder=folder, seat=name, there=True))
        self._listen(folder, name, seat)

    def _listen(self, folder: str, name: str, seat: Any) -> None:  # noqa: ANN401 - a handle of Ray's
        def begun(_pid: object) -> Placed:
            self._taken.add(name)
            return Placed(folder=folder, seat=name)

        def failed(error: BaseException) -> Left:
            return Left(folder=folder, seat=name, problem=_text(error))

        def ended(record: object) -> Left:
            return Left(folder=folder, seat=name, exit=_exit(record))

        self._then(seat.begun.remote(), begun, None)
        self._then(seat.wait.remote(), ended, failed)

    def _sweep(self, folder: str, name: str) -> None:
        seat = self._seats.get(name)
        if seat is None:
            return
        if name not in self._taken:
            ray.kill(seat)
            return

        def ended(record: object) -> Left:
            return Left(folder=folder, seat=name, exit=_exit(record))

        self._then(seat.sweep.remote(), ended, None)

    def _free(self, name: str) -> None:
        group = self._groups.pop(name, None)
        if group is None:
            try:
                group = get_placement_group(name)
            except ValueError:
                return
        remove_placement_group(group)

    def _then(
        self,
        answer: Any,  # noqa: ANN401 - a reference of Ray's
        good: Callable[[object], FromEnvoy],
        bad: Callable[[BaseException], FromEnvoy] | None,
    ) -> None:
        """Say something once Ray has an answer; nobody waits for it."""

        def come(future: Future[object]) -> None:
            error = future.exception()
            if error is None:
                self.say(good(future.result()))
            elif bad is not None:
                self.say(bad(error))

        answer.future().add_done_callback(come)


def main() -> None:
    """Connect, and serve."""
    descriptor, address, house = sys.argv[1:]
    control = socket.socket(fileno=int(descriptor))
    try:
        ray.init(
            address=address,
            namespace=house,
            log_to_driver=False,
            configure_logging=False,
            logging_level="error",
        )
    except Exception as error:  # noqa: BLE001 - the executor waits for a word, whatever it is
        send(control, Failed(problem=f"Ray cannot be reached: {_text(error)}",
                             hint="start it with: ray start --head"))  # fmt: skip
        return
    with contextlib.suppress(ConnectionResetError):
        RayEnvoy(control, house).serve()


def _exit(record: object) -> Exit:
    assert isinstance(record, bytes), "a seat answers with a record"
    return msgspec.json.decode(record, type=Exit)


def _text(error: BaseException) -> str:
    """Say in one line what Ray has to say."""
    cause = getattr(error, "cause", None) or error
    lines = [line.strip() for line in str(cause).splitlines() if line.strip()]
    return f"{type(cause).__name__}: {lines[-1] if lines else 'nothing more is said'}"[:500]


if __name__ == "__main__":
    main()
