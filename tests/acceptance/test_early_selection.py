"""W3 with real processes: selection does not wait for a long training, and takes it in later."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

from tests.acceptance.terminal import Terminal

EXAMPLE = str(Path(__file__).parents[2] / "examples" / "early_selection" / "flow.py")

FLOW = """
import pathlib, time
import makeway as mw

@mw.step(cpus=0.1)
def train(name: str, accuracy: float, door: str) -> str:
    while door and not pathlib.Path(door).exists():
        time.sleep(0.05)
    mw.log_metric("accuracy", accuracy)
    return name

@mw.step(cpus=0.1)
def serve(model: str, on: str) -> str:
    pathlib.Path(f"serves-{model}").touch()
    while on and not pathlib.Path(on).exists():
        time.sleep(0.05)
    return model

@mw.step(cpus=0.1)
def show(answers: list[str]) -> str:
    return " ".join(answers)

@mw.workflow
def flow(late: float = 0.99, on: str = "") -> str:
    models = [
        train.options(name=name)(name, accuracy, door)
        for name, accuracy, door in (("a", 0.91, ""), ("b", 0.93, ""), ("c", late, "door"))
    ]
    best = mw.select_top(
        models, k=2, metric="accuracy", min=0.9, wait="qualified", reselect=True
    )
    return show([serve(model, on) for model in best])
"""


def begun(folder: Path) -> Terminal:
    (folder / "flow.py").write_text(FLOW)
    return Terminal(folder)


def phases(terminal: Terminal) -> dict[str, Any]:
    return {step["key"]: step["phase"] for step in terminal.reads("run-show")["steps"]}


def test_what_qualifies_is_served_while_a_long_training_goes_on_and_replaced_when_it_ends(
    tmp_path: Path,
) -> None:
    terminal = begun(tmp_path)
    run = terminal.begins("run", "flow.py")
    run.waits_for("show     succeeded")
    assert phases(terminal)["c"] == "running"
    (tmp_path / "door").touch()
    assert run.ends() == 0
    assert "chose c, b (version 2); c ended later" in run.said()
    assert run.said().splitlines()[-2:] == ["c b", run.said().splitlines()[-1]]
    ended = phases(terminal)
    assert set(ended.values()) == {"succeeded"}
    assert {key for key in ended if "~" in key} == {"serve-1~2", "serve-2~2", "show~2"}
    [select] = [one for one in terminal.reads("run-show")["steps"] if one["key"] == "select"]
    assert select["selection"]["version"] == 2


def test_who_still_serves_the_old_model_is_stopped_and_the_new_one_is_served(
    tmp_path: Path,
) -> None:
    terminal = begun(tmp_path)
    run = terminal.begins("run", "flow.py", "-P", "on=enough", "-P", "late=0.92")
    run.waits_for("serve-2  runs")
    (tmp_path / "door").touch()
    run.waits_for("serve-2~2  runs")
    assert (tmp_path / "serves-c").exists() or phases(terminal)["serve-2~2"] == "running"
    (tmp_path / "enough").touch()
    assert run.ends() == 0
    ended = phases(terminal)
    assert ended["serve-2"] == "cancelled"
    assert "serve-1~2" not in ended, "the best one is served as before"
    assert ended["show"] == "succeeded"
    assert "b c" in run.said()


def test_a_controller_killed_between_two_versions_goes_on_where_it_was(tmp_path: Path) -> None:
    terminal = begun(tmp_path)
    killed = terminal.begins("run", "flow.py", "-P", "on=enough")
    killed.waits_for("serve-2  runs")
    (tmp_path / "door").touch()
    killed.waits_for("(version 2)")
    killed.sends(signal.SIGKILL)
    killed.ends()
    (tmp_path / "enough").touch()
    assert terminal.types("resume").stdout.splitlines()[-1] == "c b"
    assert phases(terminal)["serve-1~2"] == "succeeded"


def test_the_example_serves_the_slow_model_in_the_end(tmp_path: Path) -> None:
    done = Terminal(tmp_path).types("run", EXAMPLE, "-P", "slow_s=3")
    assert "slow (100.0%)" in done.stdout
