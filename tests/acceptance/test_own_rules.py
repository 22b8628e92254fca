"""What people decide themselves about failures, met live: by rules of their own, and by hand."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.service import Shop, opened
from tests.acceptance.terminal import Terminal

EXAMPLES = Path(__file__).parents[2] / "examples" / "failures"
FLOW = """
from pathlib import Path
import makeway as mw

MENDED = Path(__file__).with_name("mended")

@mw.step
def first() -> int:
    if not MENDED.exists():
        raise KeyError("bug")
    return 1

@mw.step
def second(given: int | None) -> str:
    return f"got {given}"

@mw.workflow
def flow():
    return second(first())
"""
STOP = """
[[failures.rules]]
name = "enough"
exit_code = 3
do = "stop"
hint = "three means no"
"""


def attempts_of(terminal: Terminal, step: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = terminal.reads("step", "show", step)["attempts"]
    return found


def test_the_rules_of_a_step_and_of_the_configuration_decide(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path)
    (tmp_path / "makeway.toml").write_text(
        (EXAMPLES / "own_rules.toml").read_text("utf-8"), "utf-8"
    )
    terminal.types("run", str(EXAMPLES / "own_rule.py"), expect=5)
    first, second = attempts_of(terminal, "solve")
    assert first["decision"]["rule"].startswith("rule (own_rule.py:22) says retry: ")
    assert (first["decision"]["memory"], first["decision"]["ledger"]) == ("300MB", "app")
    assert second["diagnosis"]["cause"] == "NONE"
    first, second = attempts_of(terminal, "render")
    assert (first["diagnosis"]["cause"], first["decision"]["action"]) == ("CONNECTION", "retry")
    assert first["decision"]["rule"].startswith("rule seat (makeway.toml:9) says retry: ")
    (only,) = attempts_of(terminal, "stubborn")
    assert only["decision"]["rule"] == (
        "rule (own_rule.py:41) says stop: ask Ada (without it: retry)"
    )
    again = terminal.reads("diagnose", "stubborn")["decision"]
    assert again["action"] == "stop"


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    (tmp_path / "flow.py").write_text(FLOW, "utf-8")
    with opened(tmp_path) as shop:
        yield shop


def run_of(shop: Shop) -> dict[str, Any]:
    """Give the latest run once it is over."""
    name = shop.reads("runs")[0]["id"]
    shop.types("wait", name, expect=None)
    found: dict[str, Any] = shop.reads("run-show", name)
    return found


def test_a_run_that_was_over_goes_on_where_somebody_overrides_a_step(
    shop: Shop, tmp_path: Path
) -> None:
    shop.types("run", "flow.py", expect=5)
    (tmp_path / "mended").touch()
    done = shop.reads("override", "first", "retry", "--reason", "mended by hand")
    assert done["against"].startswith("stop: CODE_ERROR is permanent")
    steps = {one["key"]: one for one in run_of(shop)["steps"]}
    assert (steps["first"]["phase"], steps["second"]["phase"]) == ("succeeded", "succeeded")
    assert len(attempts_of(shop, "first")) == 2
    (told,) = [one for one in shop.reads("decisions", "--since", "1h")["items"]
               if one["kind"] == "override"]  # fmt: skip
    assert told["text"] == done["text"]
    assert told["rule"] == f"override by {done['user']}"
    refused = shop.types("override", "first", "skip", expect=7)
    assert "it succeeded; makeway resume --from-step does it again" in refused.stderr


def test_what_is_skipped_is_missing_to_nobody_also_after_a_restart(shop: Shop) -> None:
    shop.types("run", "flow.py", expect=5)
    shop.closes()
    shop.opens()
    shop.types("override", "first", "skip", "--reason", "no need")
    run = run_of(shop)
    assert run["phase"] == "succeeded_with_failures"
    assert "got None" in shop.types("run-show", run["id"]).stdout


def test_a_job_is_stopped_and_tried_again_by_hand(shop: Shop) -> None:
    job = shop.submits("--", "sleep", "60")
    shop.types("override", job, "stop", "--reason", "enough")
    shop.types("wait", job, expect=5)
    assert shop.phase(job) == "cancelled"
    shop.types("override", job, "stop", expect=7)
    shop.types("override", job, "skip", expect=7)
    shop.types("override", job, "retry")
    assert shop.phase(job) in ("queued", "running")
    shop.types("override", "nobody", "stop", expect=3)


def test_rules_are_read_again_while_the_service_works(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "makeway.toml").write_text(STOP, "utf-8")
    watching = shop.begins("events", "-w")
    shop.service.process.send_signal(signal.SIGHUP)
    watching.waits_for("FailuresConfigured")
    watching.process.terminate()
    job = shop.submits("--", "sh", "-c", "exit 3")
    shop.types("wait", job, expect=5)
    (told,) = [one for one in shop.reads("decisions", "--job", job)["items"]
               if one["kind"] == "stop"]  # fmt: skip
    assert told["rule"] == "rule enough (makeway.toml:2) says stop: three means no"
