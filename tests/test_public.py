"""The public face: what `import makeway as mw` gives, what it costs, and what a user's editor knows."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import makeway as mw

ROOT = Path(__file__).parents[1]
HEAVY = (
    "sqlalchemy", "alembic", "click", "rich", "yaml", "msgspec", "torch", "numpy", "asyncio", "inspect",
    "socket", "tarfile", "makeway.store", "makeway.worker", "makeway.workflows", "makeway.engine",
)  # fmt: skip


def python(program: str, **environment: str) -> str:
    """Run a program in a fresh interpreter, outside makeway, and give what it prints."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("MAKEWAY_")}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**own, **environment}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def loaded_by(program: str) -> set[str]:
    """Name the modules that a program loads."""
    return set(python(f"{program}\nimport sys\nprint(*sys.modules)").split())


def test_to_import_makeway_loads_nothing() -> None:
    before = loaded_by("")
    loaded = loaded_by("import makeway as mw\nmw.__version__\ndir(mw)") - before
    assert {name for name in loaded if name.split(".")[0] not in sys.stdlib_module_names} == {
        "makeway",
        "makeway.version",
    }


@pytest.mark.parametrize(
    "use, not_needed",
    [
        ("", HEAVY),
        (
            "@mw.step\ndef f(): ...",
            ("sqlalchemy", "click", "torch", "asyncio", "socket", "tarfile"),
        ),
        ("mw.log_metric('a', 1)", ("sqlalchemy", "click", "torch", "asyncio", "makeway.workflows")),
        ("mw.log_model(1, 'm')", ("sqlalchemy", "click", "torch", "numpy", "asyncio")),
    ],
    ids=["import", "step", "log_metric", "log_model"],
)
def test_each_name_loads_only_what_it_needs(use: str, not_needed: tuple[str, ...]) -> None:
    loaded = loaded_by(f"import makeway as mw\n{use}")
    heavy = [name for name in loaded if any(f"{name}.".startswith(f"{no}.") for no in not_needed)]
    assert heavy == []


def test_every_public_name_is_there_and_documented() -> None:
    assert sorted(mw.__all__) == sorted(dir(mw))
    for name in mw.__all__:
        thing = getattr(mw, name)
        assert thing is not None
        assert name == "__version__" or thing.__doc__
    assert {"step", "workflow", "select_top", "log_metric", "log_model", "current"} <= set(dir(mw))


def test_all_names_can_be_imported_at_once() -> None:
    assert python("from makeway import *\nprint(step, select_top, Model, current.attempt)")


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'makeway' has no attribute 'stop'"):
        _ = mw.stop  # type: ignore[attr-defined]  # the mistake
    assert not hasattr(mw, "__path_of_something__")


def test_a_flow_file_is_a_program_like_any_other() -> None:
    """Run without makeway, steps just run, one after the other, and nothing is recorded."""
    program = """
import makeway as mw

@mw.step(workers=4, gpus=8)
def train(rate: float) -> mw.Model:
    mw.log_param("rate", rate)
    mw.log_metric("loss", 0.5, step=1)
    mw.progress(1, 2)
    assert (mw.current.run, mw.current.step, mw.current.attempt) == (None, None, 1)
    assert (mw.current.rank, mw.current.workers) == (0, 1)
    return mw.log_model({"w": rate}, name="m", metrics={"accuracy": 0.5})

@mw.workflow
def flow(rate: float = 0.1) -> mw.Model:
    return train(rate)

model = flow(0.3)
print(model, model.load(), mw.File("a/b.txt").name)
"""
    assert python(program) == "Model('m', accuracy=0.5) {'w': 0.3} b.txt\n"


def test_a_worker_is_told_who_it_is() -> None:
    program = "from makeway import current as c\nprint(c.run, c.step, c.attempt, c.rank, c.workers)"
    environment = {"MAKEWAY_RUN": "r1", "MAKEWAY_STEP": "train", "MAKEWAY_ATTEMPT": "2"}
    given = python(program, **environment, RANK="3", WORLD_SIZE="4")
    assert given == "r1 train 2 3 4\n"


def test_users_keep_their_types(tmp_path: Path) -> None:
    """Check a user's file with mypy, strictly, and with none of our own settings."""
    done = subprocess.run(
        [
            sys.executable, "-m", "mypy", "--strict", "--config-file=", "--follow-imports=silent",
            f"--cache-dir={tmp_path}", str(ROOT / "tests" / "typed_flow.py"),
        ],
        env={**os.environ, "MYPYPATH": str(ROOT / "src")},
        capture_output=True, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert done.stdout == "Success: no issues found in 1 source file\n", done.stdout + done.stderr
