"""Read what data sets and models were worth: which trials there were, what each cost, who was chosen.

A trial is a step that read a data set, directly or through the steps of its run before it, and came
to a value of the metric. What is not said is taken from the selections: their metric, and whether
more of it is better.

Cost:    600 trials with 360 data sets 25 ms; 600 models 0.3 s
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from msgspec.structs import replace

from makeway.codec import decode
from makeway.errors import InvalidInput, NotFound
from makeway.lineage.query import nearest, parse
from makeway.lineage.worth import Interval, Trial, lifts, outdone
from makeway.model.cluster import Placement
from makeway.model.workflow import Selection, Workflow
from makeway.store import schema
from makeway.store.bodies import SHOWN_NAME, WHICH
from makeway.store.database import Database
from makeway.store.search import search
from makeway.wire.page import PAGE_MAX
from makeway.wire.search import FoundItem
from makeway.wire.worth import DatasetView, Lift, ModelView, WorthWanted

TRIALS_MAX = 10_000
PART = 500
SHOWN_METRICS = 1_000
NO_LIFT = Interval(n=0)
LESS_IS_BETTER = ("loss", "error", "perplexity", "latency", "rmse", "mae", "mse")

METRICS, EXECUTIONS, RUNS = schema.metric.c, schema.execution.c, schema.run.c
USES, ARTIFACTS, PARAMS = schema.artifact_use.c, schema.artifact.c, schema.param.c
EDGES, ATTEMPTS, JOBS = schema.execution_edge.c, schema.attempt.c, schema.job.c


class _Measure:
    """The metric, whether more of it is better, and the steps whose models were chosen."""

    def __init__(self, database: Database, wanted: WorthWanted) -> None:
        self.chosen: set[str] = set()
        modes: dict[str, str] = {}
        counts = Counter[str]()
        asked = (
            sa.select(EXECUTIONS.run, EXECUTIONS.key, EXECUTIONS.selection, RUNS.definition)
            .join_from(schema.execution, schema.run, RUNS.id == EXECUTIONS.run)
            .where(EXECUTIONS.selection.is_not(None))
            .order_by(RUNS.submitted_at_ms.desc())
            .limit(TRIALS_MAX)
        )
        for run, key, said, definition in database.rows(asked):
            selection = decode(said, Selection, f"selection {run}.{key}")
            counts[selection.metric] += 1
            self.chosen |= {f"{run}.{one}" for one in selection.chosen}
            if selection.metric not in modes:
                step = decode(definition, Workflow, f"definition of run {run}").step(key)
                modes[selection.metric] = step.select.mode if step.select else "max"
        self.metric = wanted.metric or _most(database, counts)
        less = any(word in self.metric.lower() for word in LESS_IS_BETTER)
        self.mode = wanted.mode or modes.get(self.metric, "min" if less else "max")
        if self.mode not in ("max", "min"):
            raise InvalidInput(f"{self.mode!r} is neither max nor min", where="mode")
        if wanted.metric is not None:
            _assert_known(database, wanted.metric)

    def less(self, value: float | None) -> float | None:
        """Turn a value round so that less is better."""
        return -value if value is not None and self.mode == "max" else value


def _most(database: Database, counts: Counter[str]) -> str:
    if counts:
        return counts.most_common(1)[0][0]
    asked = (
        sa.select(METRICS.name)
        .where(METRICS.run != "", sa.not_(METRICS.name.startswith("system/")))
        .group_by(METRICS.name)
        .order_by(sa.func.count().desc(), METRICS.name)
        .limit(1)
    )
    found = database.rows(asked)
    if not found:
        raise NotFound("no metric was ever recorded", hint="mw.log_metric records one")
    return str(found[0][0])


def _assert_known(database: Database, metric: str) -> None:
    names = database.rows(sa.select(METRICS.name).distinct().limit(SHOWN_METRICS))
    known = sorted(row[0] for row in names)
    if metric not in known:
        problem = f"no metric {metric!r} was ever recorded"
        raise NotFound(problem, where="metric", hint=nearest(metric, known))


# ── data sets ─────────────────────────────────────────────────────────────────────────────────────


def datasets(database: Database, wanted: WorthWanted) -> tuple[DatasetView, ...]:
    """Say of every data set what it was worth, those that add most first."""
    with database.reading():
        known = _datasets(database)
        if not known:
            return ()
        measure = _Measure(database, wanted)
        trials = _trials(database, known, measure)
    added, readers = lifts(trials), dict[str, list[Trial]]()
    for trial in trials:
        for digest in {*trial.slots.values()}:
            readers.setdefault(digest, []).append(trial)
    views = [
        _dataset((digest, name), readers.get(digest, []), added.get(digest, NO_LIFT), measure)
        for digest, name in known.items()
    ]
    sign = 1 if measure.mode == "min" else -1
    ranked = sorted(
        (view for view in views if view.lift.mean is not None),
        key=lambda view: (sign * (view.lift.mean or 0.0), view.name, view.digest),
    )
    others = sorted(
        (view for view in views if view.lift.mean is None),
        key=lambda view: (view.name, view.digest),
    )
    placed = [replace(view, rank=place) for place, view in enumerate(ranked, 1)]
    return (*placed, *others)


def _dataset(
    named: tuple[str, str], trials: Sequence[Trial], found: Interval, measure: _Measure
) -> DatasetView:
    values = [trial.value for trial in trials]
    return DatasetView(
        digest=named[0], name=named[1], metric=measure.metric,
        runs=len({trial.step.partition(".")[0] for trial in trials}),
        selected=sum(trial.step in measure.chosen for trial in trials),
        mean=sum(values) / len(values) if values else None,
        lift=Lift(n=found.n, mean=found.mean, low=found.low, high=found.high),
    )  # fmt: skip


def _datasets(database: Database) -> dict[str, str]:
    asked = sa.select(ARTIFACTS.digest, SHOWN_NAME).where(WHICH["datasets"])
    rows = database.rows(asked.order_by(ARTIFACTS.created_at_ms.desc()).limit(TRIALS_MAX))
    return {row[0]: row[1] for row in reversed(rows)}


def _trials(database: Database, known: Mapping[str, str], measure: _Measure) -> list[Trial]:
    asked = sa.select(METRICS.subject, METRICS.run, METRICS.last).where(
        METRICS.name == measure.metric, METRICS.run != "", METRICS.last.is_not(None)
    )
    values = database.rows(asked.order_by(METRICS.subject.desc()).limit(TRIALS_MAX))
    runs = list(dict.fromkeys(row[1] for row in values))
    code, before = _code(database, runs), _before(database, runs)
    steps = [row[0] for row in values]
    near = list(dict.fromkeys((*steps, *(one for step in steps for one in before.get(step, ())))))
    inputs, params = _inputs(database, near), _params(database, near)
    found = []
    for step, _, value in values:
        slots = {key: d for key, d in inputs.get(step, {}).items() if d in known}
        others = {key: d for key, d in inputs.get(step, {}).items() if d not in known}
        recipe: Any = (code.get(step, step), params.get(step, ()), tuple(sorted(others.items())))
        if not slots:
            # What it read came from elsewhere: the data of the steps before it count.
            far = sorted(before.get(step, ()))
            slots = {
                f"{one.partition('.')[2]}.{key}": digest
                for one in far
                for key, digest in inputs.get(one, {}).items()
                if digest in known
            }
            recipe = (code.get(step, step), params.get(step, ()), *(params.get(one) for one in far))
        if slots:
            found.append(Trial(step=step, recipe=recipe, slots=slots, value=value))
    return found


def _parts(values: Sequence[str]) -> Iterable[Sequence[str]]:
    return (values[at : at + PART] for at in range(0, len(values), PART))


def _code(database: Database, runs: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Give of each step the function and the digest of its code: siblings have the same."""
    found: dict[str, tuple[str, str]] = {}
    asked = sa.select(RUNS.id, RUNS.definition)
    for part in _parts(runs):
        for run, definition in database.rows(asked.where(RUNS.id.in_(part))):
            for step in decode(definition, Workflow, f"definition of run {run}").steps:
                found[f"{run}.{step.key}"] = (step.function or step.key, step.code_digest)
        # A job on its own has no code that is known; those of one name are taken for the same.
        jobs = sa.select(JOBS.id, JOBS.name).where(JOBS.run.is_(None), JOBS.id.in_(part))
        found |= {row[0]: (row[1], "") for row in database.rows(jobs)}
    return found


def _before(database: Database, runs: Sequence[str]) -> dict[str, set[str]]:
    """Give of each step all that come before it in its run."""
    direct: dict[str, set[str]] = {}
    asked = sa.select(EDGES.run, EDGES.up, EDGES.down)
    for part in _parts(runs):
        for run, up, down in database.rows(asked.where(EDGES.run.in_(part))):
            direct.setdefault(f"{run}.{down}", set()).add(f"{run}.{up}")
    found: dict[str, set[str]] = {}
    for step, nearest_ones in direct.items():
        waiting, seen = list(nearest_ones), set[str]()
        while waiting:
            one = waiting.pop()
            if one not in seen:
                seen.add(one)
                waiting += direct.get(one, ())
        found[step] = seen
    return found


def _inputs(database: Database, steps: Sequence[str]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    asked = sa.select(USES.execution, USES.key, USES.digest).where(USES.role == "input")
    for part in _parts(steps):
        for step, key, digest in database.rows(asked.where(USES.execution.in_(part))):
            found.setdefault(step, {})[key] = digest
    return found


def _params(database: Database, steps: Sequence[str]) -> dict[str, tuple[tuple[str, str], ...]]:
    found: dict[str, dict[str, str]] = {}
    asked = sa.select(PARAMS.execution, PARAMS.key, PARAMS.value_text)
    for part in _parts(steps):
        for step, key, text in database.rows(asked.where(PARAMS.execution.in_(part))):
            found.setdefault(step, {})[key] = text
    return {step: tuple(sorted(params.items())) for step, params in found.items()}


# ── models ────────────────────────────────────────────────────────────────────────────────────────


def models(database: Database, wanted: WorthWanted) -> tuple[ModelView, ...]:
    """Say of the newest models that fulfil a search what each is worth, the best first."""
    with database.reading():
        found = search(
            database, parse(wanted.query), "models", limit=PAGE_MAX, text=wanted.query
        ).items
        if not found:
            return ()
        measure = _Measure(database, wanted)
        costs = _costs(database, [one.made_by for one in found if one.made_by])
        latencies = _latencies(database, [one.id for one in found])
        chosen = _given(database, sorted(measure.chosen))
    views = [_model(one, measure, costs, latencies, chosen) for one in found]
    points = [(measure.less(view.value), view.cost_worker_s, view.latency) for view in views]
    told = [
        replace(view, pareto=not beaten)
        for view, beaten in zip(views, outdone(points), strict=True)
    ]
    return tuple(sorted(told, key=lambda view: _order(measure, view)))


def _order(measure: _Measure, view: ModelView) -> tuple[bool, float, float, str]:
    value = measure.less(view.value)
    return value is None, value or 0.0, view.cost_worker_s or 0.0, view.digest


def _model(
    one: FoundItem,
    measure: _Measure,
    costs: Mapping[str, float],
    latencies: Mapping[str, float],
    chosen: Collection[str],
) -> ModelView:
    own = [value for name, value in one.metrics.items() if name.lower().startswith("latency")]
    latency = min((value for value in own if value is not None), default=latencies.get(one.id))
    return ModelView(
        name=one.name, digest=one.id, made_by=one.made_by, run=one.run, metric=measure.metric,
        value=one.metrics.get(measure.metric), cost_worker_s=costs.get(one.made_by or ""),
        latency=latency, selected=one.id in chosen, pareto=False,
        params=one.params, datasets=one.datasets,
    )  # fmt: skip


def _costs(database: Database, steps: Sequence[str]) -> dict[str, float]:
    """Add up the worker-seconds of all attempts at each step, also of those that failed."""
    found: dict[str, float] = {}
    columns = (ATTEMPTS.job, ATTEMPTS.started_at_ms, ATTEMPTS.ended_at_ms, ATTEMPTS.placements)
    asked = sa.select(*columns).where(ATTEMPTS.ended_at_ms.is_not(None))
    for part in _parts(list(dict.fromkeys(steps))):
        for job, begin, end, said in database.rows(asked.where(ATTEMPTS.job.in_(part))):
            placed = decode(said, tuple[Placement, ...], f"placements of {job}")
            workers = sum(placement.count for placement in placed)
            found[job] = found.get(job, 0.0) + workers * (end - begin) / 1000
    return found


def _given(database: Database, steps: Sequence[str]) -> set[str]:
    """Give what these steps made, or would have made again."""
    asked = sa.select(USES.digest).where(USES.role == "output")
    return {
        row[0]
        for part in _parts(steps)
        for row in database.rows(asked.where(USES.execution.in_(part)))
    }


def _latencies(database: Database, digests: Sequence[str]) -> dict[str, float]:
    """Give the least latency that a step recorded which served a model."""
    found: dict[str, float] = {}
    asked = (
        sa.select(USES.digest, sa.func.min(METRICS.last))
        .join_from(schema.artifact_use, schema.metric, METRICS.subject == USES.execution)
        .where(USES.role == "input", METRICS.name.like("latency%"), METRICS.last.is_not(None))
        .group_by(USES.digest)
    )
    for part in _parts(list(dict.fromkeys(digests))):
        found |= {row[0]: row[1] for row in database.rows(asked.where(USES.digest.in_(part)))}
    return found
