"""Hold the docs to the truth: what is named exists, what exists is named, what is shown is so.

The pages that are made from the code are compared with it, the tables of worlds in docs/policy.md are
given to the policy, and the workflows in the pages are run.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import re
import typing
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest
from msgspec.structs import replace

import makeway
from makeway import errors
from makeway.cli import codes as codes_of_terminal
from makeway.cli.main import COMMANDS
from makeway.cli.reference import PAGES as GENERATED
from makeway.cli.reference import page as generated
from makeway.executor import folder
from makeway.health import causes
from makeway.health.budgets import ALLOWED, PAYS
from makeway.health.rules import exceptions
from makeway.model.event import Event
from makeway.model.record import Cause, CauseClass
from makeway.model.wait import Reason
from makeway.policy import explain, why
from makeway.policy.plan import Plan, Reject
from makeway.policy.rivals import fifo
from makeway.policy.schedule import schedule
from makeway.policy.snapshot import Snapshot
from makeway.worker import program
from tests.acceptance.terminal import Terminal
from tests.builders import job
from tests.tables import check, table, waits

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
GLOBS = ("*.md", "docs/**/*.md", "examples/**/*.md")
PAGES = sorted(path for glob in GLOBS for path in ROOT.glob(glob))

FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(<?([^)\s>]+)>?[^)]*\)")
ELSEWHERE = re.compile(r"^([a-z]+:|#)")
TARGET = re.compile(r"^([a-z]+):", re.MULTILINE)


def page_name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def read(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def blocks(text: str, language: str) -> list[str]:
    """Give the fenced blocks of one language."""
    return [block for found, block in FENCE.findall(text) if found == language]


def rows(text: str) -> dict[str, list[str]]:
    """Give the rows of all tables by the word in backticks that their first cell is."""
    found = {}
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if line.startswith("| `") and re.fullmatch(r"`\w+`", cells[0]):
            found[cells[0].strip("`")] = cells[1:]
    return found


def attributes_of(source: str, owner: str) -> set[str]:
    """Give every NAME that stands in a text as `owner.NAME`."""
    return {
        node.attr
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == owner
    }


# ── what is named exists ──────────────────────────────────────────────────────────────────────────


def make_commands(text: str) -> Iterator[str]:
    """Give the targets that the console blocks of a page tell the reader to make."""
    for words in typed(text):
        if words[:1] == ["make"]:
            yield from (word for word in words[1:] if not word.startswith("-") and "=" not in word)


def typed(text: str) -> Iterator[list[str]]:
    """Give the words of each command in the console blocks of a page."""
    for block in (*blocks(text, "console"), *blocks(text, "sh")):
        for line in block.splitlines():
            if line.startswith("$ "):
                yield line.removeprefix("$ ").split("#")[0].split()


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_links_lead_somewhere(page: Path) -> None:
    prose = FENCE.sub("", page.read_text("utf-8"))
    targets = [link for link in LINK.findall(prose) if not ELSEWHERE.match(link)]
    broken = [link for link in targets if not (page.parent / link.partition("#")[0]).exists()]
    assert not broken


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_make_targets_exist(page: Path) -> None:
    targets = set(TARGET.findall(read("Makefile")))
    assert not set(make_commands(page.read_text("utf-8"))) - targets


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_commands_exist(page: Path) -> None:
    used = {words[1] for words in typed(page.read_text("utf-8")) if words[:1] == ["makeway"]}
    assert not used - set(COMMANDS)


# ── what exists is named ──────────────────────────────────────────────────────────────────────────


def verbs(group: click.Group, parent: click.Context | None = None) -> Iterator[str]:
    """Give the full name of every command that shows itself: `queues`, `queues set`."""
    context = click.Context(group, parent=parent)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None, f"{name} is listed, but there is no such command"
        if command.hidden:
            continue
        yield name
        if isinstance(command, click.Group):
            yield from (f"{name} {rest}" for rest in verbs(command, context))


def test_every_command_is_described() -> None:
    described = read("docs/cli.md")
    everything = verbs(importlib.import_module("makeway.cli.main").cli)
    missing = [verb for verb in everything if not re.search(rf"\bmakeway {verb}\b", described)]
    assert not missing, f"not in docs/cli.md: {missing}; run make docs"


@pytest.mark.parametrize("name", GENERATED)
def test_pages_that_are_made_from_the_code_are_up_to_date(name: str) -> None:
    assert read(f"docs/{name}.md") == generated(name), f"docs/{name}.md is old; run make docs"


def test_every_event_is_described() -> None:
    described = rows(read("docs/lifecycle.md"))
    for kind in typing.get_args(Event):
        assert len(described[kind.__name__][1]) > 10, f"{kind.__name__} says nothing of itself"


def test_every_exit_code_is_described() -> None:
    codes = {codes_of_terminal.ENDED_BADLY, codes_of_terminal.TOO_LATE}
    codes |= {codes_of_terminal.NEVER, codes_of_terminal.CTRL_C}
    for kind in vars(errors).values():
        if isinstance(kind, type) and issubclass(kind, errors.MakewayError):
            codes.add(kind.exit_code)
    described = read("docs/cli.md")
    assert not [code for code in sorted(codes) if f"\n| {code} | " not in described]


def test_every_public_name_is_described() -> None:
    described = read("docs/workflows.md") + read("docs/recording.md")
    names = [f"mw.{name}" for name in makeway.__all__ if name != "__version__"]
    names.append("makeway.__version__")
    assert not [name for name in names if not re.search(rf"\b{name}\b", described)]


def test_every_variable_of_ours_that_a_worker_gets_is_described() -> None:
    variables = set(re.findall(r'"(MAKEWAY_\w+)"', inspect.getsource(program.environment)))
    assert len(variables) > 5, "they are no longer where this test looks for them"
    described = read("docs/workflows.md")
    assert not [name for name in variables if f"`{name}`" not in described]


def test_every_file_of_a_worker_is_described() -> None:
    described = read("docs/operations.md")
    files = [value for name, value in vars(folder).items() if name.isupper()]
    assert not [name for name in files if f"`{name}`" not in described]


def test_every_package_is_on_the_map_and_every_module_on_it_exists() -> None:
    code_map = read("ARCHITECTURE.md").partition("## Code map")[2].partition("\n## ")[0]
    modules = [*(ROOT / "src" / "makeway").glob("*/*.py")]
    packages = {path.parent.name for path in modules}
    assert not [name for name in sorted(packages) if f"**{name}**" not in code_map]
    deeper = (ROOT / "src" / "makeway").glob("*/*/*.py")
    known = {path.stem for path in (*modules, *deeper)} | {"migrations"}
    assert not set(re.findall(r"`(\w+)`", code_map)) - known


@pytest.mark.parametrize("page", sorted(DOCS.glob("decisions/*.md")), ids=page_name)
def test_a_decision_says_what_it_cost(page: Path) -> None:
    titles = re.findall(r"^## (.+)$", page.read_text("utf-8"), re.MULTILINE)
    assert titles == ["Context", "Choice", "What we gave up"]


# ── what is shown is so ───────────────────────────────────────────────────────────────────────────


def policy_of(world: str) -> Callable[[Snapshot], Plan]:
    return fifo if world.startswith("fifo:") else schedule


HELD = "by ada, until the data are complete"
AWAY = ("/data/letters.csv",)
WORLDS = blocks(read("docs/policy.md"), "table")


@pytest.mark.parametrize("world", WORLDS, ids=lambda world: world.partition("\n")[0])
def test_the_policy_decides_as_its_page_says(world: str) -> None:
    check(world, policy_of(world))


def test_every_reason_that_a_policy_gives_is_described_with_a_text_of_it() -> None:
    sources = (ROOT / "src" / "makeway" / "policy").glob("*.py")
    given = {name for path in sources for name in attributes_of(path.read_text("utf-8"), "Reason")}
    said = {
        Reason.HELD: {explain.held(replace(job("train"), held=HELD)).text},
        Reason.BACKOFF: {explain.backoff(job("train", attempts=1)).text},
        Reason.NOT_READY: {why.READY.text},
        Reason.DEPENDENCY_PENDING: {
            explain.remaking(replace(job("train"), awaits=("ingest",))).text
        },
        Reason.DATA_UNAVAILABLE: {explain.unavailable(replace(job("train"), lacks=AWAY)).text},
    }
    for world in WORLDS:
        snapshot = table(world).snapshot
        plan = policy_of(world)(snapshot)
        refused = [one.wait for one in plan.decisions if isinstance(one, Reject)]
        for wait in (*waits(plan, snapshot).values(), *refused):
            said.setdefault(wait.reason, set()).add(wait.text)
    described = rows(read("docs/policy.md"))
    for reason in (Reason[name] for name in sorted(given)):
        assert reason.value in described, f"docs/policy.md does not describe {reason}"
        assert described[reason.value][0] in said[reason], f"no world there says so of {reason}"


def described_causes() -> dict[str, list[str]]:
    """Give the row of each cause in the two pages that describe them; several may share a row."""
    found = dict(rows(read("docs/failures.md")))
    for line in read("docs/diagnosis.md").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if line.startswith("| `"):
            found |= {name: ["", *cells[1:]] for name in re.findall(r"`([A-Z_]+)`", cells[0])}
    return found


def test_every_cause_is_described_as_it_is_treated() -> None:
    described = described_causes()
    assert {*Cause.__members__} <= described.keys()
    for cause in Cause:
        means, kind, *_, then = described[cause.value]
        assert means in ("", causes.MEANING[cause])
        assert kind.startswith(causes.CLASS_OF[cause].value), cause
        ledger = re.search(r"(\w+) ledger", then)
        if ledger is not None:
            assert ledger[1] == PAYS.get(cause, "app"), f"{cause}: {then}"
        if causes.CLASS_OF[cause] in (CauseClass.PERMANENT, CauseClass.CANCELLED):
            assert "stop" in then or "yield" in then, f"{cause}: {then}"


def test_every_ledger_is_described_with_what_it_allows() -> None:
    described = rows(read("docs/failures.md"))
    for name, allowed in ALLOWED.items():
        said = described[name][-1]
        assert said.startswith("without end" if allowed is None else str(allowed)), name


def test_every_sign_by_which_a_cause_is_told_is_described() -> None:
    described = rows(read("docs/failures.md"))
    for number, cause in exceptions.BY_ERRNO.items():
        assert re.search(rf"\berrno\b.*\b{number}\b", described[cause][2]), f"errno {number}"
    for name in exceptions.MISTAKES - {"IndentationError", "TabError", "UnboundLocalError"}:
        assert f"`{name}`" in described[Cause.CODE_ERROR][2], name


def flows() -> Iterator[tuple[str, str]]:
    """Give every workflow that a page shows, with a name for it."""
    for page in ("README.md", "docs/workflows.md"):
        for block in blocks(read(page), "python"):
            if found := re.search(r"^@mw\.workflow\ndef (\w+)", block, re.MULTILINE):
                yield f"{page}:{found[1]}", block


FLOWS = dict(flows())


@pytest.mark.slow
@pytest.mark.parametrize("name", FLOWS)
def test_a_workflow_that_is_shown_runs(name: str, tmp_path: Path) -> None:
    text = FLOWS[name]
    if "import torch" in text and importlib.util.find_spec("torch") is None:
        pytest.skip("PyTorch is not installed")
    (tmp_path / "flow.py").write_text(text, "utf-8")
    terminal = Terminal(tmp_path)
    terminal.types("run", "flow.py")
    assert terminal.reads("run-show")["phase"] == "succeeded"
