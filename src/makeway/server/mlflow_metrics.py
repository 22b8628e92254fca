"""Answer MLflow's client with samples: all of one name, or of several runs."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from makeway.errors import InvalidInput
from makeway.server.mlflow import API, Asked, Spoken, named, reply
from makeway.server.mlflow_shapes import metric_json, whole
from makeway.store.told import read_history

PAGE_MAX = 25_000
RUNS_MAX = 100

routes = APIRouter(prefix=f"{API}/metrics", route_class=Spoken, include_in_schema=False)


@routes.get("/get-history")
def history(asked: Asked) -> Response:
    """Give the samples of a name, in order of time; a page of them where a page is asked for."""
    subject = asked.tracker.subject(named(asked, "run_id", "run_uuid"))
    every = read_history(asked.tracker.reader, subject.id, named(asked, "metric_key"))
    most = whole(asked.query.get("max_results"), "max_results")
    start = whole(asked.query.get("page_token") or "0", "page_token") or 0
    if start < 0 or (most is not None and not 0 < most <= PAGE_MAX):
        raise InvalidInput(f"a page has 1 to {PAGE_MAX} samples", where="max_results")
    page = every[start:] if most is None else every[start : start + most]
    told: dict[str, object] = {"metrics": [metric_json(one) for one in page]}
    if start + len(page) < len(every):
        told["next_page_token"] = str(start + len(page))
    return reply(told)


@routes.get("/get-history-bulk")
@routes.get("/get-history-bulk-interval")
def history_of_many(asked: Asked) -> Response:
    """Give the samples of a name, of several runs; of very many, as many as are asked for."""
    runs = [*asked.query.getlist("run_ids"), *asked.query.getlist("run_id")]
    if not 0 < len(runs) <= RUNS_MAX:
        raise InvalidInput(f"1 to {RUNS_MAX} runs at once", where="run_ids")
    key = named(asked, "metric_key")
    first = whole(asked.query.get("start_step"), "start_step")
    last = whole(asked.query.get("end_step"), "end_step")
    most = whole(asked.query.get("max_results"), "max_results") or PAGE_MAX
    told = []
    for run_id in dict.fromkeys(runs):
        every = [
            one
            for one in read_history(asked.tracker.reader, asked.tracker.subject(run_id).id, key)
            if (first is None or one.step >= first) and (last is None or one.step <= last)
        ]
        stride = -(-len(every) // max(1, most))
        kept = every[:: max(1, stride)]
        if every and kept[-1] is not every[-1]:
            kept.append(every[-1])
        told += [metric_json(one, run_id=run_id) for one in kept]
    return reply({"metrics": told})
