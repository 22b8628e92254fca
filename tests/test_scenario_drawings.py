"""Draw the scenarios of docs/policy.md anew, and compare: what the page shows is what is decided.

A drawing begins with the name of its file and the instants at which its queues are shown:

    ```scenario s2-strict 5s 20s until 60s

`MAKEWAY_ACCEPT=1 pytest tests/test_scenario_drawings.py` writes what is drawn now into the page.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from makeway.cli.output import print_table
from makeway.cli.scenario_bars import bars
from makeway.cli.scenario_view import QUEUE_HEADS, queue_rows
from makeway.cli.simulate import instant, open_world, run_to
from makeway.sim.outcome import outcome, queues_of

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "policy.md"
FILES = ROOT / "examples" / "scenarios"
DRAWING = re.compile(r"^```scenario (.+)\n((?:.*\n)*?)```$", re.MULTILINE)
COLUMNS = 78


def drawn(head: str, capsys: pytest.CaptureFixture[str]) -> str:
    """Play a scenario: its queues at the instants that are named, and who ran when."""
    name, *times = head.split()
    until = instant(times[times.index("until") + 1]) if "until" in times else None
    scenario, world = open_world(str(FILES / f"{name}.yaml"), None)
    declared = [queue.path for queue in scenario.queues]
    capsys.readouterr()
    blocks = []
    for time in times[: times.index("until")] if "until" in times else times:
        run_to(world, instant(time) or 0)
        print_table(["at " + time, *QUEUE_HEADS[1:]], queue_rows(queues_of(world, declared)))
        blocks.append(capsys.readouterr().out)
    world.run(until)
    if until is not None:
        run_to(world, until)
    *lines, _legend = bars(outcome(scenario, world, 0.0, advise=False), COLUMNS)
    return "\n".join([*blocks, *lines, ""])


def heads() -> list[str]:
    """Give the first line of each drawing of the page."""
    return [found[1] for found in DRAWING.finditer(PAGE.read_text("utf-8"))]


@pytest.mark.parametrize("head", heads())
def test_a_drawing_of_the_page_shows_what_happens(
    head: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text, now = PAGE.read_text("utf-8"), drawn(head, capsys)
    if os.environ.get("MAKEWAY_ACCEPT"):
        fence = re.compile(rf"^```scenario {re.escape(head)}\n(?:.*\n)*?```$", re.MULTILINE)
        text = fence.sub(lambda _: f"```scenario {head}\n{now}```", text)
        PAGE.write_text(text, "utf-8")
    assert dict(DRAWING.findall(text))[head] == now


def test_every_scenario_is_drawn() -> None:
    files = {path.stem for path in FILES.glob("s*.yaml")}
    assert files == {head.split()[0] for head in heads()}


def test_the_scenarios_of_the_mission_are_all_there() -> None:
    named = {path.stem.partition("-")[0] for path in FILES.glob("s*.yaml")}
    assert named == {f"s{number}" for number in range(1, 11)}
