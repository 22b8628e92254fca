"""What it costs to judge running attempts: one look, and all looks at 100 trainings in an hour.

Each training has a goal and as many points as are kept. The hour is told, not waited for: each of
its seconds brings an evaluation and a report of progress from every training.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from random import Random

from bench.rows import Row
from makeway.engine.engine import Engine
from makeway.live.pace import Pace
from makeway.live.worth import Course, Scales
from makeway.model import event as ev
from makeway.model.cluster import Node
from makeway.model.job import JobSpec, WorkerGroup
from makeway.model.record import Sample
from makeway.model.resources import Resources
from makeway.model.workflow import Goal
from makeway.policy.schedule import schedule

TRAININGS, SECONDS = 100, 3_600


def rows() -> Iterator[Row]:
    engine = Engine(schedule)
    engine.step(
        [ev.NodeJoined(node=Node(name="n", capacity=Resources.of({"cpu_milli": 10**6})))], 0
    )
    goal = Goal(metric="accuracy", mode="max", target=0.9)
    groups = (WorkerGroup(per_worker=Resources.of({"cpu_milli": 1000})),)
    names = [f"t{number}" for number in range(TRAININGS)]
    for name in names:
        spec = JobSpec(name=name, user="ada", queue="ada", groups=groups, goal=goal)
        engine.step([ev.JobSubmitted(job=name, spec=spec)], 0)
    state, random = engine.state, Random(1)
    known = [(state.attempts[name], Course(state.jobs[name]), Pace()) for name in names]
    used_ns, looks = [], []
    scales = Scales(None)
    for second in range(1, SECONDS + 1):
        at_ms = 1000 * second
        for _, course, _ in known:
            value = 0.3 + 0.5 * second / SECONDS + random.gauss(0, 0.01)
            course.take(0, Sample(name="accuracy", at_ms=at_ms, value=value))
            course.take(0, Sample(name="progress", at_ms=at_ms, value=second / SECONDS))
        began_ns = time.thread_time_ns()
        scales.look(state, known, at_ms)
        used_ns.append(time.thread_time_ns() - began_ns)
        looks.append(sum(course.looked_ms == at_ms for _, course, _ in known))
    each = [ns / 1e6 / count for ns, count in zip(used_ns, looks, strict=True) if count]
    yield Row("one look at a running training with 400 points", "ms", each)
    share = 100 * sum(used_ns) / (SECONDS * 1e9)
    yield Row(f"all looks at {TRAININGS} trainings, of a processor", "%", [share], "<= 0.15")
