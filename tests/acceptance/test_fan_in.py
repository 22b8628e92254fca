"""Mapped steps with real processes: what failed stands in its place, and the rest is used."""

from __future__ import annotations

from pathlib import Path

from tests.acceptance.terminal import Terminal

FLOW = """
import pathlib
import makeway as mw

@mw.step(cpus=0.1)
def halve(number: int) -> int:
    if number % 2 and not pathlib.Path("odd").exists():
        raise ValueError(f"{number} is odd")
    return number // 2

@mw.step(cpus=0.1)
def report(halves: list[int | mw.Failure]) -> str:
    return " ".join(
        f"({one.step})" if isinstance(one, mw.Failure) else str(one) for one in halves
    )

@mw.step(cpus=0.1, trigger="all_done")
def clean(report: str | None) -> str:
    pathlib.Path("cleaned").write_text(str(report))
    return f"cleaned after {report}"

@mw.workflow
def flow(least: float = 0.75) -> str:
    halves = halve.map([2, 4, 5, 8], min_success=least, max_parallel=2)
    return clean(report(halves))
"""


def test_of_four_slots_three_are_enough_and_the_fourth_is_a_failure_in_its_place(
    tmp_path: Path,
) -> None:
    (tmp_path / "flow.py").write_text(FLOW)
    terminal = Terminal(tmp_path)
    done = terminal.types("run", "flow.py")
    assert done.stdout == "cleaned after 1 2 (halve-3) 4\n"
    assert "succeeded with failures: did not succeed: halve-3" in done.stderr
    (tmp_path / "odd").touch()
    plan = {one["step"]: one for one in terminal.reads("resume", "--dry-run")["steps"]}
    assert [key for key, one in plan.items() if one["action"] == "run"] == [
        "halve-3", "report", "clean",
    ]  # fmt: skip
    assert terminal.types("resume").stdout == "cleaned after 1 2 2 4\n"


def test_with_too_few_the_report_is_not_made_and_cleaning_up_is_done(tmp_path: Path) -> None:
    (tmp_path / "flow.py").write_text(FLOW)
    done = Terminal(tmp_path).types("run", "flow.py", "-P", "least=1.0")
    assert "report   omitted: halve-3 failed" in done.stderr
    assert (tmp_path / "cleaned").read_text() == "None"


WHEN = """
import makeway as mw

@mw.step(cpus=0.1)
def check(accuracy: float) -> bool:
    return accuracy >= 0.9

@mw.step(cpus=0.1)
def deploy(name: str) -> str:
    return f"deployed {name}"

@mw.workflow
def flow(accuracy: float = 0.5) -> str:
    with mw.when(check(accuracy)):
        told = deploy("model")
    return told
"""


def test_a_step_runs_only_when_its_condition_is_true(tmp_path: Path) -> None:
    (tmp_path / "flow.py").write_text(WHEN)
    terminal = Terminal(tmp_path)
    done = terminal.types("run", "flow.py")
    assert done.stdout == ""
    assert "deploy  skipped: its condition is false: check said so" in done.stderr
    assert terminal.types("resume", "-P", "accuracy=0.95").stdout == "deployed model\n"


COMMAND = """
import makeway as mw

greet = mw.command("sh -c 'echo hello $0 > greeting; exit {code}' {name}", name="greet", cpus=0.1)

@mw.step(cpus=0.1)
def read() -> str:
    return open("greeting").read().strip()

@mw.workflow
def flow(name: str = "a b", code: int = 0) -> str:
    return read.options(after=greet(name=name, code=code))()
"""


def test_a_command_is_a_step_like_any_other(tmp_path: Path) -> None:
    (tmp_path / "flow.py").write_text(COMMAND)
    terminal = Terminal(tmp_path)
    assert terminal.types("run", "flow.py").stdout == "hello a b\n"
    assert terminal.types("run", "flow.py", "-P", "code=3", expect=5).stdout == ""
    plan = {one["step"]: one for one in terminal.reads("resume", "--dry-run")["steps"]}
    assert plan["greet"]["reason"] == "failed"
    assert terminal.types("resume", "-P", "code=0").stdout == "hello a b\n"
