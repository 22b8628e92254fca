"""What jobs did over a span of time is read from the store as it was."""

from __future__ import annotations

from makeway.store.database import Database
from makeway.store.history import Window, history
from makeway.store.log import Log
from tests.store.test_decisions import story
from tests.store.world import DAWN_MS, World, bad_exit

ALWAYS = Window(begin_ms=0, end_ms=DAWN_MS * 2)


def test_a_resize_is_a_step_and_a_preemption_names_both(database: Database) -> None:
    story(database)
    known = history(database, ALWAYS)
    first, second = known.tracks
    assert (first.id, second.id) == ("j1", "j2")
    assert first.stays[0].widths == ((DAWN_MS + 3, 1), (DAWN_MS + 4, 3))
    assert second.stays[0].widths == ((DAWN_MS + 7, 3),)
    [one] = known.yieldings
    assert (one.victim, one.claimant, one.rule) == ("j1", "j2", "priority")


def test_an_attempt_that_has_ended_says_by_what(database: Database) -> None:
    world = World()
    job = world.submit_job()
    world.ready(job)
    world.end(job, bad_exit(world.now_ms, "TypeError"))
    Log(database).append(world.entries)
    [track] = history(database, ALWAYS).tracks
    [stay] = track.stays
    assert stay.cause == "CODE_ERROR"
    assert stay.end_ms is not None
    assert stay.nodes == (("n1", 1),)


def test_what_was_over_before_or_came_later_is_left_out(database: Database) -> None:
    story(database)
    assert history(database, Window(begin_ms=0, end_ms=DAWN_MS - 1)).tracks == ()
    assert len(history(database, Window(begin_ms=DAWN_MS * 2, end_ms=DAWN_MS * 3)).tracks) == 2


def test_only_the_newest_are_given_and_that_is_said(database: Database) -> None:
    story(database)
    known = history(database, Window(begin_ms=0, end_ms=DAWN_MS * 2, most=1))
    assert ([track.id for track in known.tracks], known.more) == (["j2"], True)
    assert not known.yieldings, "a line needs both of its rows"


def test_jobs_are_chosen_by_queue_user_and_run(database: Database) -> None:
    story(database)
    [one, _] = history(database, ALWAYS).tracks
    for chosen in ({"queue": one.queue}, {"user": one.user}):
        window = Window(begin_ms=0, end_ms=DAWN_MS * 2, **chosen)  # type: ignore[arg-type] # texts
        assert len(history(database, window).tracks) == 2
    for other in ({"queue": one.queue + "x"}, {"user": "nobody"}, {"run": "none"}):
        window = Window(begin_ms=0, end_ms=DAWN_MS * 2, **other)  # type: ignore[arg-type] # texts
        assert not history(database, window).tracks
