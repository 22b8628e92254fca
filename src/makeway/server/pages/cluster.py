"""Show the cluster: what each queue holds against its share, the machines, the last day."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
from fastapi import APIRouter
from markupsafe import Markup
from starlette.responses import Response

from makeway.model.resources import CPU, GPU
from makeway.model.units import NAMES, in_units
from makeway.server.pages import words
from makeway.server.pages.drawing import stacked
from makeway.server.pages.visit import Face, Form, PageRoute, Visiting
from makeway.store.occupancy import Held
from makeway.wire.cluster import Drain, NodeView, QueueView

DAY_MS = 24 * 3600 * 1000
STRETCHES = 96
LAYERS_MAX = 6
JOBS_SHOWN = 4

routes = APIRouter(include_in_schema=False, route_class=PageRoute)


class QueueLine(msgspec.Struct, frozen=True, kw_only=True):
    """A queue as the table shows it; parts are of the whole cluster, by what it has most of."""

    view: QueueView
    name: str
    level: int
    held: float
    due: float
    told: str


class NodeLine(msgspec.Struct, frozen=True, kw_only=True):
    """A machine as the table shows it: of each kind what is held and what is used (None: unknown)."""

    view: NodeView
    cpus: tuple[float, float, float | None]
    memory: tuple[float, float, float | None]
    gpus: tuple[float, float] | None
    shown: tuple[str, ...]
    more: int


class History(msgspec.Struct, frozen=True, kw_only=True):
    """The last day: one layer a queue at the top, in `unit`; `hours` is the same as a table."""

    unit: str
    picture: Markup
    names: tuple[str, ...]
    hours: tuple[tuple[float, tuple[float, ...]], ...]


@routes.get("/")
def cluster(visit: Visiting) -> Response:
    """Give the page."""
    desk, records = visit.desk, visit.records
    status, nodes = desk.status(), desk.nodes()
    now_ms = records.now_ms()
    return visit.page(
        "cluster.html",
        Face(title="Cluster", place="Cluster", command="makeway shares", live="jobs nodes queues"),
        status=status,
        queues=[_queue(one, status.capacity) for one in desk.shares()],
        nodes=_nodes(nodes, records.used_now()),
        history=_history(records.held_since(now_ms - DAY_MS), status.capacity, now_ms),
    )


@routes.post("/nodes/{name}/{act}")
def act(visit: Visiting, name: str, act: str, fields: Form) -> Response:
    """Drain a machine, or let it work again."""
    if act == "undrain":
        visit.desk.undrain(name)
    else:
        visit.desk.drain(name, Drain(evict=fields.get("evict") == "yes"))
    return visit.go("/#nodes")


# ── queues ────────────────────────────────────────────────────────────────────────────────────────


def _queue(view: QueueView, capacity: Mapping[str, float]) -> QueueLine:
    held, due = _part(view.usage, capacity), _part(view.due, capacity)
    told = f"holds {words.share(held)} of the cluster, due {words.share(due)}"
    return QueueLine(
        view=view, name=view.path.rpartition("/")[2] or "all", level=view.path.count("/"),
        held=held, due=due, told=told,
    )  # fmt: skip


def _part(amounts: Mapping[str, float], capacity: Mapping[str, float]) -> float:
    """Say which part of the cluster this is, by the kind of which it is the largest part."""
    parts = [value / capacity[kind] for kind, value in amounts.items() if capacity.get(kind)]
    return max(parts, default=0.0)


# ── machines ──────────────────────────────────────────────────────────────────────────────────────


def _nodes(nodes: Sequence[NodeView], used: Mapping[str, Mapping[str, float]]) -> list[NodeLine]:
    return [_node(view, used.get(view.name, {})) for view in nodes]


def _node(view: NodeView, used: Mapping[str, float]) -> NodeLine:
    percent, memory = used.get("system/cpu_percent"), used.get("system/memory_usage_bytes")
    gpus = None
    if view.capacity.get("gpus"):
        gpus = (_held(view, "gpus"), view.capacity["gpus"])
    return NodeLine(
        view=view,
        cpus=(_held(view, "cpus"), view.capacity.get("cpus", 0.0),
              None if percent is None else percent / 100),
        memory=(_held(view, "memory"), view.capacity.get("memory", 0.0), memory),
        gpus=gpus,
        shown=view.jobs[:JOBS_SHOWN],
        more=max(0, len(view.jobs) - JOBS_SHOWN),
    )  # fmt: skip


def _held(view: NodeView, kind: str) -> float:
    return max(0.0, view.capacity.get(kind, 0.0) - view.free.get(kind, 0.0))


# ── the last day ──────────────────────────────────────────────────────────────────────────────────


def _history(held: Sequence[Held], capacity: Mapping[str, float], now_ms: int) -> History:
    kind = GPU if capacity.get(NAMES[GPU]) else CPU
    unit, begin_ms = NAMES[kind], now_ms - DAY_MS
    layers: dict[str, list[float]] = {}
    for one in held:
        queue = one.queue.split("/")[0]
        layer = layers.setdefault(queue, [0.0] * STRETCHES)
        _spread(layer, one, in_units(kind, one.amount[kind]), begin_ms)
    kept = _largest(layers)
    told = f"{unit} held by queue over the last 24 hours; the table below has the same numbers"
    picture = stacked(
        kept, begin_s=begin_ms / 1000, end_s=now_ms / 1000, whole=capacity.get(unit, 0.0), told=told
    )
    hours = tuple(
        (
            (begin_ms + at * DAY_MS // STRETCHES) / 1000,
            tuple(sum(layer[at : at + 4]) / 4 for layer in kept.values()),
        )
        for at in range(0, STRETCHES, 4)
    )
    return History(unit=unit, picture=picture, names=tuple(kept), hours=hours)


def _spread(layer: list[float], one: Held, amount: float, begin_ms: int) -> None:
    """Add what was held to each stretch of time, by the part of it for which it was held."""
    long_ms = DAY_MS / STRETCHES
    begin = max(0.0, (one.begin_ms - begin_ms) / long_ms)
    end = STRETCHES if one.end_ms is None else min(STRETCHES, (one.end_ms - begin_ms) / long_ms)
    for at in range(int(begin), min(STRETCHES, int(end) + 1)):
        layer[at] += amount * max(0.0, min(end, at + 1) - max(begin, at))


def _largest(layers: Mapping[str, list[float]]) -> dict[str, list[float]]:
    """Keep the layers that can be told apart by colour, and put the others together."""
    names = sorted(layers, key=lambda name: (-sum(layers[name]), name))
    if len(names) <= LAYERS_MAX:
        return {name: layers[name] for name in sorted(names)}
    kept, rest = names[: LAYERS_MAX - 1], names[LAYERS_MAX - 1 :]
    others = [sum(values) for values in zip(*(layers[name] for name in rest), strict=True)]
    return {**{name: layers[name] for name in sorted(kept)}, "others": others}
