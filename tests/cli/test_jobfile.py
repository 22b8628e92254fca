"""How a job is put together from a file and from what is typed."""

from __future__ import annotations

from pathlib import Path

import pytest

from makeway.cli.jobfile import Typed, after_of, body_of, name_for
from makeway.cli.plainfile import plain_file
from makeway.errors import InvalidInput, MakewayError, NotFound

FILES = {
    "job.yaml": "name: 007\ncommand: [python, train.py, 0.10]\nper_worker: {cpus: 2, memory: 4GB}\n"
    "class: high\nworkers: 2\nenvironment: {A: '1'}\n",
    "job.json": '{"name": "007", "command": ["python", "train.py", "0.10"], "workers": 2,'
    ' "per_worker": {"cpus": 2, "memory": "4GB"}, "class": "high", "environment": {"A": "1"}}',
    "job.toml": 'name = "007"\ncommand = ["python", "train.py", "0.10"]\nworkers = 2\n'
    'class = "high"\nper_worker = {cpus = 2, memory = "4GB"}\nenvironment = {A = "1"}\n',
}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, "utf-8")
    return tmp_path


@pytest.mark.parametrize("name", FILES)
def test_yaml_json_and_toml_say_the_same(here: Path, name: str) -> None:
    body, _ = body_of(name, Typed())
    assert body == {
        "name": "007",
        "command": ["python", "train.py", "0.10"],
        "workers": 2,
        "per_worker": {"cpus": 2, "memory": "4GB"},
        "class": "high",
        "environment": {"A": "1"},
        "directory": str(here),
    }


def test_what_is_typed_lies_over_the_file(here: Path) -> None:
    typed = Typed(
        least=1,
        most=4,
        memory="8GB",
        priority=7,
        environment=("B=x=y",),
        command=("sh",),
        after=("a", "b:failed"),
        hold=True,
        no_preempt=True,
    )
    body, _ = body_of("job.yaml", typed)
    assert body["workers"] == {"min": 1, "max": 4}
    assert body["per_worker"] == {"cpus": 2, "memory": "8GB"}
    assert body["environment"] == {"A": "1", "B": "x=y"}
    assert body["after"] == [{"job": "a", "on": "succeeded"}, {"job": "b", "on": "failed"}]
    assert (body["hold"], body["preemptible"], body["command"]) == (True, False, ["sh"])
    assert body["priority"] == 7, "a class and a priority say the same: the typed one counts"
    assert "class" not in body


def test_a_job_runs_where_it_was_typed_or_beside_its_file(here: Path) -> None:
    folder = here / "deep"
    folder.mkdir()
    (folder / "job.yaml").write_text("command: [x]\ndirectory: sub\n", "utf-8")
    assert body_of(None, Typed(command=("x",)))[0]["directory"] == str(here)
    assert body_of("deep/job.yaml", Typed())[0]["directory"] == str(folder / "sub")
    assert body_of("deep/job.yaml", Typed(directory="o"))[0]["directory"] == str(here / "o")


def test_a_variable_without_a_value_is_passed_on(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN_OF_MINE", "1")
    body, _ = body_of(None, Typed(command=("x",), environment=("TOKEN_OF_MINE",)))
    assert body["environment"] == {"TOKEN_OF_MINE": "1"}


@pytest.mark.parametrize(
    "typed, words",
    [
        (Typed(), "a job needs a command"),
        (Typed(command=("x",), workers=2, least=1, most=2), "say the same"),
        (Typed(command=("x",), least=1), "belong together"),
        (Typed(command=("x",), after=("a:finished",)), "does not end 'finished'"),
        (Typed(command=("x",), after=(":failed",)), "names no job"),
        (Typed(command=("x",), environment=("=1",)), "names no variable"),
        (Typed(command=("x",), environment=("NOT_SET_ANYWHERE",)), "is not set here"),
    ],
)
def test_what_cannot_be_meant_is_refused(here: Path, typed: Typed, words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        body_of(None, typed)


@pytest.mark.parametrize(
    "name, text, kind, words",
    [
        ("a.yaml", "", InvalidInput, "a.yaml: there is nothing in it"),
        ("a.yaml", "- x\n", InvalidInput, "a.yaml:1: it must be a mapping"),
        ("a.yaml", "name: a\nname: b\n", InvalidInput, "a.yaml:2: the key 'name' is there twice"),
        ("a.json", '{"name": ', InvalidInput, "a.json:1: this is no YAML"),
        ("a.toml", "name = \n", InvalidInput, "a.toml: this is no TOML"),
        ("a.toml", None, NotFound, "a.toml: there is no such file"),
        ("a.yaml", None, NotFound, "a.yaml: there is no such file"),
    ],
)
def test_a_file_that_cannot_be_read_says_where(
    here: Path, name: str, text: str | None, kind: type[MakewayError], words: str
) -> None:
    if text is not None:
        Path(name).write_text(text, "utf-8")
    with pytest.raises(kind) as raised:
        plain_file(name)
    assert words in str(raised.value)


@pytest.mark.parametrize(
    "where, line",
    [
        ("job: per_worker.memory", "job.yaml:3"),
        ("job: command[1]", "job.yaml:2"),
        ("class", "job.yaml:4"),
        ("job: nowhere", "job: nowhere"),
        ("", ""),
    ],
)
def test_what_the_service_says_is_wrong_gets_its_line(here: Path, where: str, line: str) -> None:
    error = plain_file("job.yaml").placed(InvalidInput("wrong", where=where, hint="do"))
    assert (type(error), error.where, error.hint) == (InvalidInput, line, "do")


@pytest.mark.parametrize(
    "command, name",
    [
        (["python", "train.py", "--lr", "3"], "train"),
        (["/usr/bin/python3", "-u", "deep/train.v2.py"], "train.v2"),
        (["python", "-m", "my.package"], "my"),
        (["python", "-c", "print(1)"], "python"),
        (["torchrun", "--nproc=2", "a b.py"], "a-b"),
        (["sleep", "5"], "sleep"),
        ("python train.py", "train"),
        (["///"], "job"),
        ([], "job"),
        (7, "job"),
    ],
)
def test_a_job_without_a_name_is_called_by_its_program(command: object, name: str) -> None:
    assert name_for(command) == name


def test_a_dependency_names_a_job_and_an_end() -> None:
    assert after_of("a") == {"job": "a", "on": "succeeded"}
    assert after_of("@last:ended") == {"job": "@last", "on": "ended"}
    assert after_of("run.key:2") == {"job": "run.key:2", "on": "succeeded"}
