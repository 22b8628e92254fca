"""How a user says that a step is cached, and what is refused."""

from __future__ import annotations

import pytest

from makeway.model.workflow import Caching
from tests.project import Project


def rule(project: Project, cache: str) -> Caching | None:
    """Build a step with this setting and give what was understood."""
    return project.step(written(cache)).cache


def written(cache: str) -> str:
    return f"""
        import makeway as mw

        @mw.step(cache={cache})  # <- here
        def work(n: int = 1) -> int: ...

        @mw.workflow
        def main():
            work()
    """


def test_a_step_is_not_cached_unless_it_says_so(project: Project) -> None:
    assert rule(project, "False") is None


def test_true_is_the_plain_rule(project: Project) -> None:
    assert rule(project, "True") == Caching()


def test_every_word_of_a_cache_is_understood(project: Project) -> None:
    found = rule(project, 'mw.Cache(version=3, ttl="2h", ignore=["n"], serialize=True)')
    assert found == Caching(version="3", ttl_ms=7_200_000, ignore=("n",), serialize=True)


def test_one_call_may_be_cached_alone(project: Project) -> None:
    steps = project.build("""
        import makeway as mw

        @mw.step
        def work(n: int = 1) -> int: ...

        @mw.workflow
        def main():
            work()
            work.options(name="kept", cache=mw.Cache(ttl=60))()
    """).steps
    assert [step.cache for step in steps] == [None, Caching(ttl_ms=60_000)]


def test_the_environment_is_what_is_installed_or_a_lock_file(project: Project) -> None:
    project.write("numpy==2.0\n", "lock.txt")
    steps = project.build("""
        import makeway as mw

        @mw.step(cache=mw.Cache(cache_env=True))
        def work(n: int = 1) -> int: ...

        @mw.workflow
        def main():
            work()
            work.options(name="locked", cache=mw.Cache(cache_env="lock.txt"))()
    """).steps
    installed, locked = [step.cache.environment for step in steps if step.cache is not None]
    assert len(installed) == len(locked) == 64
    assert installed != locked


@pytest.mark.parametrize(
    "cache, says",
    [
        ("1", "cache is 1; it can be True, False or a mw.Cache"),
        ('mw.Cache(ttl="soon")', "'soon' is not a time"),
        ("mw.Cache(ttl=-1)", "-1 is not a time"),
        ('mw.Cache(ignore="n")', "it must be a list of names"),
        ('mw.Cache(ignore=["m"])', "the cache ignores 'm', which the step does not take"),
        ("mw.Cache(version=1.5)", "the cache's version is 1.5"),
        ("mw.Cache(serialize=1)", "serialize is 1; it must be True or False"),
        ("mw.Cache(cache_env=3)", "cache_env is 3"),
    ],
)
def test_what_makes_no_sense_is_refused_where_it_stands(
    project: Project, cache: str, says: str
) -> None:
    error = project.refused(written(cache).replace("  # <- here", ""))
    assert says in error.problem
    assert "flow.py:4" in error.where


def test_a_lock_file_that_is_not_there_is_named(project: Project) -> None:
    error = project.refused(written('mw.Cache(cache_env="lock.txt")').replace("  # <- here", ""))
    assert error.where.endswith("lock.txt")
    assert "step work: its lock cannot be read" in error.problem


def test_a_workflow_says_what_the_code_of_its_steps_is_made_of(project: Project) -> None:
    project.write("SCALE = 2\n\ndef scaled(n):\n    return n * SCALE\n", "sums.py")
    workflow = project.build("""
        import makeway as mw
        from sums import scaled

        @mw.step
        def work(n: int = 1) -> int:
            return scaled(n)

        @mw.workflow
        def main():
            work()
    """)
    [step] = workflow.steps
    assert sorted(workflow.code[step.code_digest]) == [
        "flow.py:work", "sums.py:SCALE", "sums.py:scaled",
    ]  # fmt: skip
