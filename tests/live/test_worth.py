"""Whoever watches what runs, about whether it is worth it: by its own metric, and by its pace."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import Any

from makeway.executor.base import Readings
from makeway.executor.folder import worker_folder
from makeway.live.watch import Lookout
from makeway.live.worth import POINTS_MAX, Course, Scales
from makeway.model import event as ev
from makeway.model.job import OnHopeless
from makeway.model.record import Note, Sample
from makeway.model.workflow import Goal
from makeway.store.database import Database
from makeway.store.series_writer import SeriesWriter
from tests.engine.house import House

MINUTE_MS = 60_000
GOAL = Goal(metric="accuracy", mode="max", target=0.9, min_delta=0.005)


class Scene:
    """A job `a` that is at work on a machine of its own, and a lookout beside it."""

    def __init__(self, store: Path, database: Database | None = None, **asked: Any) -> None:
        self.house = House("n1", cpus=1)
        self.house.submit("a", **asked)
        self.house.go("a")
        worker_folder(store, "a", 1, 0).mkdir(parents=True)
        self.lookout = Lookout(store, database)
        self.looks()

    def looks(self, after_ms: int = 1_000) -> list[ev.AttemptJudged]:
        """Let time pass and the lookout look; what it says is believed."""
        self.house.pass_time(after_ms)
        judged = self.lookout.look(self.house.engine.state, self.house.now_ms)
        for event in judged:
            self.house.tell(event)
        return judged

    def tells(self, name: str, value: float, rank: int = 0) -> None:
        sample = Sample(name=name, at_ms=self.house.now_ms, value=value)
        self.lookout.hear([Readings(job="a", number=1, rank=rank, samples=(sample,))])

    def reports(self, name: str, *values: float, every_ms: int = MINUTE_MS) -> list[str]:
        """Let it report these values, and the lookout look meanwhile; give what it said of it."""
        said = []
        for value in values:
            self.tells(name, value)
            for _ in range(every_ms // 10_000):
                said += self.looks(10_000)
        return [f"{one.symptom.name} {one.decision.action if one.decision else ''}".strip()
                for one in said if one.symptom is not None]  # fmt: skip

    @property
    def stopped(self) -> str | None:
        return self.house.attempt("a").stop_cause


def test_who_is_slow_is_told_of_only_while_others_wait_and_leaves_for_them(tmp_path: Path) -> None:
    scene = Scene(tmp_path, min_rate=1.0)
    assert scene.reports("progress", 0.001, 0.002, 0.003, 0.004) == []
    scene.house.submit("b")
    assert scene.reports("progress", 0.005) == ["too_slow yield"]
    assert scene.stopped == "yielded"


def test_fewer_than_three_reports_say_nothing(tmp_path: Path) -> None:
    scene = Scene(tmp_path, min_rate=1.0)
    scene.house.submit("b")
    assert scene.reports("progress", 0.001, 0.001) == []
    assert scene.reports("progress", 0.001) == ["too_slow yield"]


def test_without_a_limit_it_is_too_slow_below_a_fortieth_an_hour_and_never_ended_for_it(
    tmp_path: Path,
) -> None:
    scene = Scene(tmp_path, on_hopeless=OnHopeless.STOP)
    scene.house.submit("b")
    assert scene.reports("progress", 0.0001, 0.0002, 0.0003, 0.0004) == ["too_slow yield"]
    assert scene.stopped == "yielded"


def test_a_limit_of_nothing_switches_it_off(tmp_path: Path) -> None:
    scene = Scene(tmp_path, min_rate=0)
    scene.house.submit("b")
    assert scene.reports("progress", *[0.0001] * 5) == []


def test_whose_metric_is_flat_yields_and_goes_on_while_nobody_waits(tmp_path: Path) -> None:
    scene = Scene(tmp_path, goal=GOAL)
    assert scene.reports("accuracy", *[0.3] * 20) == ["not_improving yield"]
    assert scene.stopped is None
    assert scene.house.job("a").spec.yielded_from == 0


def test_whose_metric_is_flat_ends_where_that_is_asked_for(tmp_path: Path) -> None:
    scene = Scene(tmp_path, goal=GOAL, on_hopeless=OnHopeless.STOP)
    assert scene.reports("accuracy", *[0.3] * 20) == ["not_improving stop"]
    assert scene.stopped == "hopeless"


def test_who_has_reached_its_goal_is_told_of_and_left_alone(tmp_path: Path) -> None:
    scene = Scene(tmp_path, goal=GOAL, on_hopeless=OnHopeless.STOP)
    assert scene.reports("accuracy", *[0.95] * 20) == ["converged"]
    assert scene.stopped is None


def test_whose_metric_rises_is_not_spoken_of(tmp_path: Path) -> None:
    scene = Scene(tmp_path, goal=GOAL)
    assert scene.reports("accuracy", *[0.3 + 0.01 * at for at in range(40)]) == []


def test_who_writes_a_checkpoint_is_not_too_slow_for_that(tmp_path: Path) -> None:
    scene = Scene(tmp_path, min_rate=1.0)
    scene.house.submit("b")
    scene.reports("progress", 0.001)
    note = Note(kind="phase", key="checkpoint", at_ms=scene.house.now_ms)
    scene.lookout.hear([Readings(job="a", number=1, rank=0, samples=(), notes=(note,))])
    assert scene.reports("progress", 0.001, 0.001, 0.001) == []
    known = scene.lookout.phase_of(scene.house.attempt("a"), 0)
    assert known is not None
    assert (known.name, known.since_s) == ("checkpoint", 61.0)
    over = Note(kind="phase", key="", at_ms=scene.house.now_ms)
    scene.lookout.hear([Readings(job="a", number=1, rank=0, samples=(), notes=(over,))])
    assert scene.reports("progress", 0.001) == ["too_slow yield"]


def test_who_gets_better_again_is_no_longer_spoken_of(tmp_path: Path) -> None:
    scene = Scene(tmp_path, goal=GOAL, on_hopeless=OnHopeless.FLAG)
    assert scene.reports("accuracy", *[0.3] * 20) == ["not_improving continue"]
    scene.reports("accuracy", *[0.3 + 0.05 * at for at in range(1, 12)])
    assert scene.house.attempt("a").symptom is None


def test_who_is_kept_stays_and_is_not_moved_for_the_same_reason_again(tmp_path: Path) -> None:
    scene = Scene(tmp_path, min_rate=1.0)
    scene.reports("progress", 0.001, 0.002, 0.003)
    scene.house.tell(ev.JobKeepRequested(job="a"))
    scene.house.submit("b")
    assert scene.reports("progress", 0.004, 0.005, 0.006) == ["too_slow continue"]
    assert scene.stopped is None
    assert scene.house.job("a").spec.yielded_from is None


def test_what_was_reported_before_the_controller_came_counts_as_well(tmp_path: Path) -> None:
    with Database.open(tmp_path) as database:
        scene = Scene(tmp_path, database, goal=GOAL)
        begun_ms = scene.house.attempt("a").released_at_ms
        assert begun_ms is not None
        series = SeriesWriter(database)
        points = [
            Sample(name="accuracy", at_ms=begun_ms + MINUTE_MS * at, value=0.3, step=at)
            for at in range(1, 20)
        ]
        series.add("a", 1, 0, points)
        series.flush()
        scene.looks(20 * MINUTE_MS)
        assert scene.reports("accuracy", 0.3) == ["not_improving yield"]


def test_points_that_come_late_or_twice_change_nothing_and_many_are_thinned(tmp_path: Path) -> None:
    scene = Scene(tmp_path, goal=GOAL)
    course = Course(scene.house.job("a"))
    for at_ms in range(50_000):
        for told_ms in (at_ms, at_ms, at_ms - 7):
            course.take(0, Sample(name="accuracy", at_ms=told_ms, value=float(told_ms)))
    track = course.seen(0, scene.lookout._attempts["a"].pace).samples["accuracy"]
    assert len(track) <= POINTS_MAX + 1
    assert [*track] == sorted(track)
    assert (track[0], track[-1]) == ((0.0, 0.0), (49.999, 49_999.0))


def test_all_looks_together_cost_a_thousandth_and_each_has_its_turn(tmp_path: Path) -> None:
    scene = Scene(tmp_path, goal=GOAL)
    attempt, pace = scene.house.attempt("a"), scene.lookout._attempts["a"].pace
    used = count(step=5_000_000)  # each reading of it 5 ms later: a look costs 5 ms
    scales = Scales(None, lambda: next(used))
    courses = [Course(scene.house.job("a")) for _ in range(40)]
    turns = [0] * len(courses)
    for at_ms in range(1_000, 401_000, 1_000):
        for course in courses:
            course.take(0, Sample(name="accuracy", at_ms=at_ms, value=0.3))
        scales.look(scene.house.engine.state, [(attempt, one, pace) for one in courses], at_ms)
        turns = [old + (one.looked_ms == at_ms) for old, one in zip(turns, courses, strict=True)]
    assert sum(turns) == (100 + 400) // 5, "what was saved, and a thousandth of 400 s"
    assert max(turns) - min(turns) <= 1
