"""Configure makeway in a folder, and ask where each value came from."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.acceptance.terminal import Terminal


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    return Terminal(tmp_path)


def configure(terminal: Terminal, text: str) -> Path:
    path = terminal.folder / "makeway.toml"
    path.write_text(text)
    return path


def test_every_value_is_shown_with_where_it_came_from(terminal: Terminal) -> None:
    path = configure(terminal, '[service]\nport = 7071\n[[queues]]\nname = "lab"\nweight = 2\n')
    rows = {row["key"]: (row["value"], row["origin"]) for row in view(terminal, "--store", "s")}
    assert rows["service.port"] == (7071, f"{path}:2")
    assert rows["service.store"] == (str(terminal.folder / "s"), "flag")
    assert rows["service.host"] == ("127.0.0.1", "default")
    assert rows["policy.preemption.grace"] == ("30s", "default")
    assert rows["queues"] == ([{"name": "lab", "weight": 2.0}], f"{path}:3")


def view(terminal: Terminal, *options: str) -> list[dict[str, object]]:
    found = terminal.reads(*options, "config", "view")
    assert isinstance(found, list)
    return found


def test_a_table_is_for_people(terminal: Terminal) -> None:
    configure(terminal, '[limits]\nrun_as_user = false\n[[queues]]\nname = "lab"\n')
    said = terminal.types("config", "view").stdout
    lines = {line.split()[0]: line.split()[1:] for line in said.splitlines()}
    assert lines["KEY"] == ["VALUE", "FROM"]
    assert lines["limits.run_as_user"][0] == "false"
    assert lines["service.database"] == ["–", "default"]
    assert lines["queues"][:2] == ["1:", "lab"]


def test_a_store_that_is_configured_is_used(terminal: Terminal) -> None:
    configure(terminal, '[service]\nstore = "kept/here"\n')
    said = terminal.types("runs", expect=None).stderr
    assert f"{terminal.folder}/kept/here: there is no store here" in said


def test_a_wrong_configuration_is_told_and_nothing_runs(terminal: Terminal) -> None:
    path = configure(terminal, "[service]\nprt = 7071\n")
    for words in (("runs",), ("config", "view")):
        said = terminal.types(*words, expect=2)
        assert said.stderr.startswith(
            f"error: {path}:2: service has no key 'prt'; did you mean 'port'?"
        )
        assert not said.stdout
    assert terminal.types("version").stdout, "what needs no configuration works"


def test_a_file_that_is_named_must_be_there(terminal: Terminal) -> None:
    said = terminal.types("config", "view", "--config", "no.toml", expect=3).stderr
    assert "no.toml: there is no such file; --config names it" in said
