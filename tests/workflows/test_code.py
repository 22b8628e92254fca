"""Name the code behind a step: what changes the digest, and what does not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from tests.project import fresh_project

FLOW = '''
import math
import makeway as mw
import config
import numbers_of as shop
from pricing.rules import discount
from pricing import tax
from stars import *

RATE = 0.5
TABLE = {"a": 1}
TABLE["b"] = 2
TABLE.update(c=3)
UNUSED = 7
if RATE > 1:
    CHOICE = "high"
else:
    CHOICE = "low"


class Base:
    scale = 1


class Scaler(Base):
    def apply(self, x):
        return x * self.scale


def unrelated():
    return 1


def below(x):
    return x + RATE


def traced(function):
    return function


@mw.step(memory="100MB")
def compute(x: int = config.START) -> float:
    """Compute something."""
    # a comment
    from late import finish

    return finish(Scaler().apply(below(x))) + TABLE["a"] + discount(x) + tax(x) + len(CHOICE)


@mw.step
@traced
def decorated():
    return shop.first() + star() + config.DEEP["x"]


@mw.step
def nested():
    return compute(1)


@mw.workflow
def main():
    compute()
    decorated()
    nested()
'''

FILES = {
    "flow.py": FLOW,
    "config.py": "START = 3\nDEEP = {'x': 1}\nOTHER = 4\n",
    "numbers_of.py": "import math\n\ndef first():\n    return math.pi\n\ndef second():\n    return 2\n",
    "pricing/__init__.py": "from .rules import tax as tax\n",
    "pricing/rules.py": (
        "from . import base\n\n"
        "def discount(x):\n    return x - base.BASE\n\n"
        "def tax(x):\n    return x * base.taxed(x)\n"
    ),
    "pricing/base.py": "BASE = 10\nSPARE = 11\n\ndef taxed(x):\n    return x\n",
    "stars.py": "def star():\n    return 1\n\ndef dust():\n    return 1\n",
    "late.py": "def finish(x):\n    return x\n\ndef never(x):\n    return x\n",
}


def digests(folder: Path, files: dict[str, str]) -> dict[str, str]:
    """Build the project in a folder of its own, and give the digest of each of its steps."""
    folder.mkdir()
    with fresh_project(folder) as project:
        for name, text in files.items():
            if name != "flow.py":
                project.write(text, name)
        return {step.key: step.code_digest for step in project.build(files["flow.py"]).steps}


CHANGES = [
    # file, before, after, which steps change
    ("flow.py", "Compute something.", "Compute anything.", ""),
    ("flow.py", "# a comment", "# another one", ""),
    ("flow.py", "    return x + RATE", "    return (x\n\n            + RATE)", ""),
    ("flow.py", 'memory="100MB"', 'memory="900MB", retries=3', ""),
    ("flow.py", "def unrelated():\n    return 1", "def unrelated():\n    return 2", ""),
    ("flow.py", "UNUSED = 7", "UNUSED = 8", ""),
    ("flow.py", "    decorated()\n", "    decorated()\n    print('built')\n", ""),
    ("flow.py", "return finish(", "return 1 + finish(", "compute nested"),
    ("flow.py", "x: int = config.START", "x: int = 4", "compute nested"),
    ("flow.py", "return x + RATE", "return x - RATE", "compute nested"),
    ("flow.py", "RATE = 0.5", "RATE = 0.6", "compute nested"),
    ("flow.py", '{"a": 1}', '{"a": 2}', "compute nested"),
    ("flow.py", 'TABLE["b"] = 2', 'TABLE["b"] = 3', "compute nested"),
    ("flow.py", "TABLE.update(c=3)", "TABLE.update(c=4)", "compute nested"),
    ("flow.py", 'CHOICE = "high"', 'CHOICE = "higher"', "compute nested"),
    ("flow.py", "scale = 1", "scale = 2", "compute nested"),
    ("flow.py", "return x * self.scale", "return x + self.scale", "compute nested"),
    ("flow.py", "return compute(1)", "return compute(2)", "nested"),
    ("flow.py", "    return function\n", "    print()\n    return function\n", "decorated"),
    ("config.py", "START = 3", "START = 4", "compute nested"),
    ("config.py", "'x': 1", "'x': 2", "decorated"),
    ("config.py", "OTHER = 4", "OTHER = 5", ""),
    ("numbers_of.py", "return math.pi", "return math.e", "decorated"),
    ("numbers_of.py", "return 2", "return 3", ""),
    ("pricing/rules.py", "x - base", "x + base", "compute nested"),
    ("pricing/base.py", "BASE = 10", "BASE = 11", "compute nested"),
    ("pricing/base.py", "SPARE = 11", "SPARE = 12", ""),
    ("pricing/base.py", "return x", "return 2 * x", "compute nested"),
    ("stars.py", "def star():\n    return 1", "def star():\n    return 2", "decorated"),
    ("stars.py", "def dust():\n    return 1", "def dust():\n    return 2", ""),
    ("late.py", "def finish(x):\n    return x", "def finish(x):\n    return -x", "compute nested"),
    ("late.py", "def never(x):\n    return x", "def never(x):\n    return -x", ""),
]


@pytest.mark.parametrize("file, before, after, changed", CHANGES, ids=range(len(CHANGES)))
def test_a_step_changes_with_what_it_reaches_and_with_nothing_else(
    tmp_path: Path, file: str, before: str, after: str, changed: str
) -> None:
    old = digests(tmp_path / "old", FILES)
    assert FILES[file].count(before) == 1 or file != "flow.py"
    new = digests(tmp_path / "new", {**FILES, file: FILES[file].replace(before, after)})
    assert sorted(key for key in old if old[key] != new[key]) == sorted(changed.split())


def test_the_digest_is_the_same_in_every_folder_and_every_process(tmp_path: Path) -> None:
    here = digests(tmp_path / "here", FILES)
    program = """
        import sys
        from pathlib import Path
        from tests.workflows.test_code import FILES, digests
        print(digests(Path(sys.argv[1]), FILES))
    """
    for name in ("there", "elsewhere"):
        argv = [sys.executable, "-c", dedent(program), str(tmp_path / name)]
        done = subprocess.run(argv, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == str(here)


def test_a_module_that_is_passed_on_counts_as_a_whole(tmp_path: Path) -> None:
    files = {
        "flow.py": """
            import makeway as mw
            import tools

            @mw.step
            def use():
                return vars(tools)

            @mw.workflow
            def main():
                use()
        """,
        "tools.py": "def any_of_it(): ...\n",
    }
    old = digests(tmp_path / "old", files)
    assert digests(tmp_path / "new", {**files, "tools.py": "def all_of_it(): ...\n"}) != old


def test_a_step_in_a_package_counts_what_lies_above_it_in_the_project(tmp_path: Path) -> None:
    files = {
        "flow.py": """
            import makeway as mw
            from steps.train import train

            @mw.workflow
            def main():
                train()
        """,
        "steps/__init__.py": "",
        "steps/train.py": """
            import makeway as mw
            from common import LAYERS
            from . import sizes

            @mw.step
            def train():
                return LAYERS * sizes.WIDTH
        """,
        "steps/sizes.py": "WIDTH = 3\n",
        "common.py": "LAYERS = 3\n",
    }
    old = digests(tmp_path / "old", files)
    for name in ("common.py", "steps/sizes.py"):
        changed = {**files, name: files[name].replace("3", "4")}
        assert digests(tmp_path / name.replace("/", "-"), changed) != old


def test_what_was_installed_does_not_count(tmp_path: Path) -> None:
    files = {
        "flow.py": """
            import makeway as mw
            import sys
            sys.path.append(sys.path[0] + "/.venv/lib/site-packages")
            import installed

            @mw.step
            def use():
                return installed.one()

            @mw.workflow
            def main():
                use()
        """,
        ".venv/lib/site-packages/installed.py": "def one(): return 1\n",
    }
    old = digests(tmp_path / "old", files)
    name = ".venv/lib/site-packages/installed.py"
    assert digests(tmp_path / "new", {**files, name: "def one(): return 2\n"}) == old


def test_modules_that_import_each_other_are_followed_once(tmp_path: Path) -> None:
    files = {
        "flow.py": """
            import makeway as mw
            import one

            @mw.step
            def use():
                return one.first()

            @mw.workflow
            def main():
                use()
        """,
        "one.py": "import two\nfrom two import *\ndef first(): return two.second() + max(1, 2)\n",
        "two.py": (
            "import one\nfrom one import *\n"
            "def second(): return one.first() + third() + len('')\ndef third(): return 1\n"
        ),
    }
    old = digests(tmp_path / "old", files)
    changed = {**files, "two.py": files["two.py"].replace("return 1", "return 2")}
    assert digests(tmp_path / "new", changed) != old


def test_a_function_without_a_file_is_named_by_its_bytecode() -> None:
    from makeway.workflows.code import code_digest

    def made(text: str) -> str:
        names: dict[str, object] = {"__name__": "typed_into_a_shell"}
        exec(text, names)
        return code_digest(names["f"], "/nowhere")  # type: ignore[arg-type]  # the function

    assert made("def f(): return 1") == made("def f():\n\n    return 1")
    assert made("def f(): return 1") != made("def f(): return 2")
    assert made("def f(): return lambda: 1") != made("def f(): return lambda: 2")


def test_it_is_quick_for_a_large_project(tmp_path: Path) -> None:
    body = "".join(f"def f{i}(x):\n    return f{i - 1}(x) + {i}\n\n" for i in range(1, 2000))
    files = {
        "flow.py": """
            import makeway as mw
            import large

            @mw.step
            def use():
                return large.f1999(1)

            @mw.workflow
            def main():
                for _ in range(200):
                    use()
        """,
        "large.py": "def f0(x):\n    return x\n\n" + body,
    }
    assert len(digests(tmp_path / "large", files)) == 200
