"""Any command line is run as it is; one that cannot be says why, once, and has run nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from makeway.executor.equipment import Site
from makeway.model.job import Program
from tests.conformance.stage import Stage, script

WAYS = [
    pytest.param({}, id="spawned"),
    pytest.param({"memory_bytes": 1 << 30}, id="forked"),
]


@pytest.fixture
def stage(store_dir: Path) -> Iterator[Stage]:
    made = Stage(store_dir, Site(cgroups=False, environment={"PLACE": "site", "WHO": "site"}))
    yield made
    made.close()


def file(folder: Path, text: str, mode: int = 0o755) -> str:
    path = folder / "program"
    path.write_text(text)
    path.chmod(mode)
    return str(path)


@pytest.mark.parametrize("asked", WAYS)
@pytest.mark.parametrize(
    "text, mode, words",
    [
        ("#!/bin/sh\n", 0o644, "may not be executed"),
        ("no first line\n", 0o755, "#!"),
        ("#!/no/such/interpreter\n", 0o755, "first line"),
    ],
)
def test_a_file_that_cannot_be_executed_says_why(
    stage: Stage, tmp_path: Path, text: str, mode: int, words: str, asked: dict[str, int]
) -> None:
    name = file(tmp_path, text, mode)
    stage.launch(Program(argv=(name,)), asked=asked)
    if mode == 0o755:
        stage.ready()
        stage.release()
    ended = stage.exit()
    assert (ended.code, ended.started) == (126, False)
    assert ended.error is not None
    assert words in ended.error.message
    assert name in ended.error.message


@pytest.mark.parametrize(
    "program, words",
    [
        (Program(argv=()), "no program"),
        (Program(argv=("",)), "no program"),
        (Program(argv=("/",)), "is a directory"),
        (Program(argv=("true",), directory="/etc/passwd"), "is no directory"),
    ],
)
def test_what_is_no_program_at_all_says_so(stage: Stage, program: Program, words: str) -> None:
    stage.launch(program)
    ended = stage.exit()
    assert not ended.started
    assert ended.error is not None
    assert words in ended.error.message


@pytest.mark.parametrize("asked", WAYS)
def test_a_program_is_found_from_its_working_directory(
    stage: Stage, tmp_path: Path, asked: dict[str, int]
) -> None:
    file(tmp_path, "#!/bin/sh\npwd; echo $1\n")
    program = Program(argv=("./program", "a b"), directory=str(tmp_path))
    (ended,) = stage.run(program, **asked)
    assert ended.good
    assert stage.log().splitlines() == [str(tmp_path), "a b"]


@pytest.mark.parametrize("asked", WAYS)
def test_the_programs_variables_come_before_the_sites(stage: Stage, asked: dict[str, int]) -> None:
    program = Program(argv=("sh", "-c", "echo $PLACE $WHO"), environment={"WHO": "program"})
    stage.run(program, **asked)
    assert stage.log() == "site program\n"


@pytest.mark.parametrize("asked", WAYS)
def test_a_program_inherits_nothing_but_its_three_streams_and_the_lock(
    stage: Stage, asked: dict[str, int]
) -> None:
    stage.run(script("readlink /proc/$$/fd/*"), **asked)
    seen = stage.log().splitlines()
    folder = str(stage.folder())
    assert sorted(seen) == sorted(
        ["/dev/null", f"{folder}/out.log", f"{folder}/out.log", f"{folder}/lock"]
    )


def test_nothing_is_said_twice_in_the_log(stage: Stage) -> None:
    stage.run(script("echo one; echo two >&2"))
    assert stage.log() == "one\ntwo\n"


def test_a_record_of_what_was_saved_comes_with_the_exit_code_75(stage: Stage) -> None:
    text = (
        """echo '{"fence": 1, "step": 12, "checkpoint": "c/12"}' > $MAKEWAY_DIR/yield.json; exit """
    )
    (ended,) = stage.run(script(text + "75"))
    assert ended.yielded is not None
    assert (ended.yielded.fence, ended.yielded.step, ended.yielded.checkpoint) == (1, 12, "c/12")


@pytest.mark.parametrize(
    "text",
    [
        "exit 75",
        "echo not json > $MAKEWAY_DIR/yield.json; exit 75",
        "mkfifo $MAKEWAY_DIR/yield.json; exit 75",
        "ln -s /etc/passwd $MAKEWAY_DIR/yield.json; exit 75",
        "mkdir $MAKEWAY_DIR/yield.json; exit 75",
        """echo '{"fence": 1}' > $MAKEWAY_DIR/yield.json; exit 1""",
    ],
)
def test_what_is_no_record_is_none(stage: Stage, text: str) -> None:
    (ended,) = stage.run(script(text))
    assert ended.code in (75, 1)
    assert ended.yielded is None
