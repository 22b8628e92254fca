"""Show one run: its whole graph, what failed and what that holds up, every step, the selection."""

from __future__ import annotations

import msgspec
from fastapi import APIRouter
from starlette.responses import Response

from makeway.server.pages.run_graph import graph_of, held_up
from makeway.server.pages.visit import Crumb, Face, PageRoute, Visiting
from makeway.store.rows import ExecutionRow

ROWS_MAX = 300
PARAM_CHARS = 80

routes = APIRouter(include_in_schema=False, route_class=PageRoute)


class Trouble(msgspec.Struct, frozen=True, kw_only=True):
    """A step that failed, why, and what cannot go on because of it."""

    step: ExecutionRow
    cause: str
    holds_up: tuple[str, ...]


@routes.get("/runs/{ref}")
def run(visit: Visiting, ref: str, open: str = "", all: bool = False) -> Response:  # noqa: A002 - words of the address
    """Give the page; `open` unfolds a fan-out, `all` shows every row of the table."""
    found = visit.records.run(ref)
    row, steps = found.detail.row, found.steps
    troubles = _troubles(steps)
    shown = steps if all else steps[:ROWS_MAX]
    return visit.page(
        "run.html",
        Face(
            title=row.workflow, place="Workflows", command=f"makeway run-show {row.id}",
            crumbs=(Crumb("Workflows", "/workflows"), Crumb(row.id, f"/runs/{row.id}")),
            live="runs jobs",
        ),
        run=row,
        params={name: _short(value) for name, value in found.detail.params.items()},
        graph=graph_of(row.id, steps, {*open.split(",")}),
        troubles=troubles,
        waiting=[one for one in steps if one.wait is not None and not one.phase.final],
        steps=shown,
        hidden=len(steps) - len(shown),
        selections=[one for one in steps if one.selection is not None],
    )  # fmt: skip


@routes.post("/runs/{ref}/cancel")
def cancel(visit: Visiting, ref: str) -> Response:
    """Let no further step of it start."""
    return visit.go(f"/runs/{visit.desk.cancel_run(ref).id}")


def _troubles(steps: tuple[ExecutionRow, ...]) -> list[Trouble]:
    held = held_up(steps)
    found = []
    for step in steps:
        if step.phase.value not in ("failed", "stopped", "backoff"):
            continue
        diagnosis = None if step.attempt is None else step.attempt.diagnosis
        found.append(
            Trouble(
                step=step,
                cause="" if diagnosis is None else diagnosis.cause.value,
                holds_up=tuple(key for key, cause in held.items() if cause == step.key),
            )
        )
    return found


def _short(value: object) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= PARAM_CHARS else f"{text[: PARAM_CHARS - 1]}…"
