"""The commands as a person meets them: small flows, every mistake, every format, two at once."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
import yaml

from tests.acceptance.terminal import Terminal
from tests.conformance.stage import alive

HEAD = "import time\nimport makeway as mw\n\n"
ONE = HEAD + "@mw.step(cpus=0.1)\ndef one() -> int:\n    return 1\n\n"
TWO = ONE + "@mw.step(cpus=0.1)\ndef two(x: int) -> int:\n    return x + 1\n\n"
SLOW = HEAD + (
    "@mw.step(cpus=0.1)\n"
    "def slow(seconds: float) -> str:\n"
    "    for tenth in range(int(seconds * 10)):\n"
    "        mw.log_metric('tenth', tenth, step=tenth)\n"
    "        print('tenth', tenth, flush=True)\n"
    "        time.sleep(0.1)\n"
    "    return 'done'\n\n"
    "@mw.workflow\ndef flow(seconds: float = 20.0):\n    return slow(seconds)\n"
)


def workflow(body: str) -> str:
    return f"@mw.workflow\ndef flow():\n    {body}\n"


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    return Terminal(tmp_path)


def write(terminal: Terminal, text: str, name: str = "flow.py") -> None:
    (terminal.folder / name).write_text(text, encoding="utf-8")


# ── what goes well ────────────────────────────────────────────────────────────────────────────────


def test_the_result_is_printed_alone_on_standard_output(terminal: Terminal) -> None:
    write(terminal, TWO + workflow("return two(one())"))
    assert terminal.types("run", "flow.py").stdout == "2\n"


def test_json_and_yaml_say_the_same(terminal: Terminal) -> None:
    write(terminal, TWO + workflow("return two(one())"))
    terminal.types("run", "flow.py")
    for words in (("runs",), ("run-show",), ("step", "show", "two"), ("step", "samples", "two")):
        as_json = json.loads(terminal.types(*words, "-o", "json").stdout)
        assert yaml.safe_load(terminal.types(*words, "-o", "yaml").stdout) == as_json
    lines = terminal.types("events", "-o", "jsonl").stdout.splitlines()
    assert [json.loads(line)["seq"] for line in lines] == list(range(1, len(lines) + 1))


def test_names_alone_go_into_a_pipe(terminal: Terminal) -> None:
    write(terminal, TWO + workflow("return two(one())"))
    terminal.types("run", "flow.py")
    (name,) = terminal.types("runs", "-o", "name").stdout.split()
    assert terminal.reads("run-show", name[:10])["id"] == name
    assert terminal.reads("run-show", "@last")["id"] == name


def test_logs_are_followed_to_the_end_of_the_step(terminal: Terminal) -> None:
    write(terminal, SLOW)
    run = terminal.begins("run", "flow.py", "-P", "seconds=2")
    run.waits_for("slow  runs")
    followed = terminal.types("logs", "-f", "slow").stdout
    assert followed.splitlines() == [f"tenth {tenth}" for tenth in range(20)]
    assert run.ends() == 0


# ── what goes wrong ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "text, code, words",
    [
        (HEAD + "def x(:\n", 2, "flow.py:4: "),
        (HEAD + "import nosuchlibrary\n", 2, "No module named 'nosuchlibrary'"),
        (HEAD, 2, "there is no workflow in it"),
        (ONE + workflow("pass"), 2, "calls no step"),
        (TWO + workflow("return two()"), 2, "missing a required argument: 'x'"),
        (TWO + workflow("return two('1')"), 2, "x is int"),
        (TWO + workflow("return two(one(), y=3)"), 2, "unexpected keyword argument 'y'"),
        (TWO + workflow("a = one.options(after='two')(); return two(a)"), 2, "one -> two -> one"),
        (TWO + workflow("return two(one()) if one() > 0 else 1"), 2, "does not exist"),
        (ONE.replace("cpus=0.1", "cpus=-1"), 2, "cpus"),
        (ONE.replace("cpus=0.1", "memory='lots'"), 2, "512MiB"),
        (ONE.replace("cpus=0.1", "cpus=100_000") + workflow("return one()"), 8, "largest node has"),
        (ONE.replace("return 1", "return {}['key']") + workflow("return one()"), 5, "KeyError"),
        (ONE.replace("return 1", "raise SystemExit(93)") + workflow("return one()"), 5, "no use"),
        (ONE.replace("return 1", "return lambda: 1") + workflow("return one()"), 5, "stored"),
    ],
)
def test_a_mistake_is_told_once_and_clearly(
    terminal: Terminal, text: str, code: int, words: str
) -> None:
    write(terminal, text)
    done = terminal.types("run", "flow.py", expect=code)
    assert words in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "words, code",
    [
        (("run", "nowhere.py"), 3),
        (("run",), 2),
        (("run", "flow.py:other"), 2),
        (("run", "flow.py", "-P", "x=1"), 2),
        (("run", "flow.py", "-P", "x"), 2),
        (("run-show", "nothing"), 3),
        (("step", "show", "nothing"), 3),
        (("logs", "nothing"), 3),
        (("resume", "nothing"), 3),
        (("--store", "flow.py", "runs"), 2),
        (("frobnicate",), 2),
    ],
)
def test_a_command_that_cannot_be_done_changes_nothing(
    terminal: Terminal, words: tuple[str, ...], code: int
) -> None:
    write(terminal, ONE + workflow("return one()"))
    terminal.types("run", "flow.py")
    before = terminal.types("events", "-o", "jsonl").stdout
    terminal.types(*words, expect=code)
    assert terminal.types("events", "-o", "jsonl").stdout == before


def test_nothing_to_read_says_how_to_begin(terminal: Terminal) -> None:
    assert "makeway run" in terminal.types("runs", expect=3).stderr


def test_one_failing_branch_lets_the_other_finish_and_resume_mends_it(terminal: Terminal) -> None:
    flow = TWO + workflow("a = one(); return [two.options(name='good')(a), bad(a)]")
    broken = "@mw.step(cpus=0.1)\ndef bad(x: int) -> int:\n    return x / 0\n\n"
    write(terminal, flow.replace("@mw.workflow", broken + "@mw.workflow"))
    terminal.types("run", "flow.py", expect=5)
    mended = broken.replace("x / 0", "x")
    write(terminal, flow.replace("@mw.workflow", mended + "@mw.workflow"))
    assert terminal.types("resume").stdout == "2\n1\n"
    phases = {step["key"]: step["phase"] for step in terminal.reads("run-show")["steps"]}
    assert phases == {"one": "cached", "good": "cached", "bad": "succeeded"}


# ── two at once, and interrupted ──────────────────────────────────────────────────────────────────


def test_a_second_run_in_the_same_store_is_told_who_is_there(terminal: Terminal) -> None:
    write(terminal, SLOW)
    first = terminal.begins("run", "flow.py")
    first.waits_for("slow  runs")
    refused = terminal.types("run", "flow.py", expect=7)
    assert str(first.process.pid) in refused.stderr
    terminal.types("--store", "elsewhere", "run", "flow.py", "-P", "seconds=0.1")
    first.sends(signal.SIGINT)
    assert first.ends() == 130


def test_a_killed_run_is_taken_over_by_the_next_one_beside_its_own(terminal: Terminal) -> None:
    write(terminal, SLOW)
    killed = terminal.begins("run", "flow.py", "-P", "seconds=3")
    killed.waits_for("slow  runs")
    killed.sends(signal.SIGKILL)
    killed.ends()
    (left,) = terminal.types("runs", "-o", "name").stdout.split()
    done = terminal.types("run", "flow.py", "-P", "seconds=6")
    assert f"run {left}, left behind" in done.stderr
    assert terminal.reads("run-show", left)["phase"] == "succeeded"


def test_a_worker_killed_from_outside_is_told_as_such(terminal: Terminal) -> None:
    write(terminal, SLOW)
    run = terminal.begins("run", "flow.py")
    run.waits_for("slow  runs")
    (attempt,) = terminal.reads("step", "show", "slow")["attempts"]
    (pid,) = (worker["pid"] for worker in attempt["workers"])
    os.kill(pid, signal.SIGKILL)
    run.waits_for("it was killed, and nobody here did it")
    run.sends(signal.SIGINT)
    assert run.ends() == 130
    assert not alive(pid)
