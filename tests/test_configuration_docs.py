"""Hold the chapter on the configuration, its example and the unit for systemd to the truth."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from makeway.intake import nodes, queues
from makeway.intake.written import leaves, rules_plain
from makeway.live.config import Config, load, rows
from makeway.live.settings import SETTINGS
from makeway.model.rules import LIVE, PastUsage, Preemption, Rules

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "operations.md").read_text("utf-8")
CHAPTER = PAGE.partition("\n## Configuration\n")[2].partition("\n## ")[0]
EXAMPLE = ROOT / "examples" / "service" / "makeway.toml"
UNIT = ROOT / "src" / "makeway" / "live" / "makeway.service"
NOTHING = {"": "empty", (): "none", None: "none"}


def table(head: str) -> dict[str, list[str]]:
    """Give the rows of the table whose first head this is, by their first cell."""
    _, _, text = CHAPTER.partition(f"| {head} |")
    lines = text.partition("\n\n")[0].splitlines()[2:]
    cells = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in lines]
    return {row[0].strip("`"): [cell.strip("`") for cell in row[1:]] for row in cells}


def test_every_value_is_described_with_its_default_and_its_variable() -> None:
    described = table("key")
    assert described.keys() == {setting.name for setting in SETTINGS}
    plain = {row.key: row.value for row in rows(Config())}
    for setting in SETTINGS:
        value = plain[setting.name]
        shown = NOTHING.get(value) if isinstance(value, str | tuple) else None
        default = str(value).lower() if isinstance(value, bool) else shown or str(value)
        assert described[setting.name][:2] == [default, setting.variable]


def policy_table() -> dict[str, list[str]]:
    return {
        key: cells
        for part in CHAPTER.split("### The policy")[1:]
        for line in part.partition("\n### ")[0].splitlines()
        if line.startswith("| `policy.")
        for key, *cells in [[cell.strip(" `") for cell in line.strip("| ").split(" | ")]]
    }


def test_every_setting_of_the_policy_is_described_with_its_default() -> None:
    described = policy_table()
    plain = dict(leaves(rules_plain(LIVE), "policy"))
    classes = {key for key in plain if key.startswith("policy.classes.")}
    assert described.keys() == {*(plain.keys() - classes), "policy.classes"}
    for key in plain.keys() - classes:
        value = plain[key]
        assert described[key][0] == (str(value).lower() if isinstance(value, bool) else str(value))
    for name, value in LIVE.classes.items():
        assert f"{name} = {value}" in described["policy.classes"][0]


def test_every_setting_of_the_policy_can_be_written_in_a_file() -> None:
    plain = rules_plain(LIVE)
    other = {"backfill_depth": "backfill", "class_scopes": "classes"}
    assert {other.get(name, name) for name in Rules.__struct_fields__} == plain.keys()
    for key, kind in (("preemption", Preemption), ("usage", PastUsage)):
        inner = plain[key]
        assert isinstance(inner, Mapping)
        assert len(inner) == len(kind.__struct_fields__)


def test_every_key_of_a_queue_is_described() -> None:
    assert table("key of a queue").keys() == {"name", "users", "queues", *queues.QUEUE_KEYS}


def test_every_key_of_a_node_is_described() -> None:
    assert table("key of a node").keys() == {*nodes.KEYS, "cpus", "memory", "gpus"}


def test_the_example_is_right_and_shows_almost_everything(tmp_path: Path) -> None:
    config = load({"config": str(EXAMPLE)}, {}, tmp_path, tmp_path)
    assert [queue.path for queue in config.queues][:3] == ["vision", "vision/ada", "vision/bob"]
    assert [node.name for node in config.nodes] == ["gpu1", "gpu2", "big"]
    text = EXAMPLE.read_text("utf-8")
    keys = {setting.key for setting in SETTINGS if setting.in_files} | {*queues.QUEUE_KEYS}
    keys |= {key.rpartition(".")[2] for key in policy_table()}
    assert not [key for key in sorted(keys) if not re.search(rf"\b{key}\b", text)]


def test_the_unit_leaves_the_workers_alone_when_the_service_stops() -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[method-assign,assignment]  # its keys have capitals
    unit.read_string(UNIT.read_text("utf-8"))
    assert unit["Service"]["KillMode"] == "process"
    assert unit["Service"]["Delegate"] == "yes"
    assert unit["Service"]["ExecStart"].split()[1:] == [
        "up",
        "--config",
        "/etc/makeway/makeway.toml",
    ]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd here")
def test_systemd_understands_the_unit(tmp_path: Path) -> None:
    copy = tmp_path / "makeway.service"
    copy.write_text(UNIT.read_text("utf-8").replace("/opt/makeway/bin/makeway", "/bin/true"))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(copy)],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert "makeway.service" not in done.stderr
