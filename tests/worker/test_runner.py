"""Run one step in a process of its own: what it leaves behind, however it ends."""

from __future__ import annotations

import atexit
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent

import pytest

from makeway.executor.folder import LOG, read_error, read_report
from makeway.executor.protocol import Launch
from makeway.model.job import Program, StepCall
from makeway.model.record import ErrorRecord, Report
from makeway.model.workflow import Binding, Constant, Many, Stored
from makeway.store.blobs import Blobs
from makeway.worker import recorder
from makeway.worker.runner import run_step
from makeway.worker.values import decode, encode
from tests.project import Project

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")

HEAD = "import makeway as mw\nimport os, sys\n"


class Ended:
    """What a worker's process left behind."""

    def __init__(self, folder: Path, status: int, store: Path) -> None:
        self.code = os.waitstatus_to_exitcode(status)
        self.log = (folder / LOG).read_text()
        self.report: Report | None = read_report(folder)
        self.error: ErrorRecord | None = read_error(folder)
        self._store = store

    @property
    def value(self) -> object:
        assert self.report is not None, self.log
        assert self.report.output is not None
        return decode(self.report.output, self._store)


def run(
    project: Project,
    text: str,
    arguments: Mapping[str, Binding] | None = None,
    *,
    function: str = "step",
    rank: int = 0,
) -> Ended:
    """Run the step of this file in a forked child, as an agent does."""
    folder = project.folder.parent / f"worker-{rank}"
    folder.mkdir()
    file = project.write(HEAD + dedent(text))
    call = StepCall(file=str(file), function=function, arguments=dict(arguments or {}))
    launch = Launch(
        job="run.step", number=1, fence=1, rank=rank, workers=1, workers_min=1, workers_max=1,
        local_rank=0, local_workers=1, node="here", node_rank=0, nodes=1, address="127.0.0.1",
        barrier_ms=1000, sample_ms=1000, program=Program(call=call), run="run", step="step",
        store=str(project.store), controller="nowhere",
    )  # fmt: skip
    child = os.fork()
    if child == 0:
        atexit._clear()  # pytest's own have no business here
        log = os.open(folder / LOG, os.O_WRONLY | os.O_CREAT)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.environ |= {"MAKEWAY_DIR": str(folder), "MAKEWAY_STORE": str(project.store)}
        recorder.forget()
        run_step(folder, launch)
    return Ended(folder, os.waitpid(child, 0)[1], project.store)


# ── it ends well ────────────────────────────────────────────────────────────────────────────────────


def test_its_value_metrics_and_parameters_are_reported(project: Project) -> None:
    ended = run(
        project,
        """
        @mw.step
        def step(n):
            mw.log_param("n", n)
            mw.log_metrics({"accuracy": 0.5, "loss": float("nan")})
            print("hello")
            return {"n": n}
        """,
        {"n": Constant(3)},
    )
    assert (ended.code, ended.value, ended.log) == (0, {"n": 3}, "hello\n")
    assert ended.report is not None
    assert (ended.report.metrics, ended.report.params) == ({"accuracy": 0.5}, {"n": 3})


def test_arguments_are_constants_artifacts_and_lists_of_them(project: Project) -> None:
    stored = Stored(encode((1, 2), Blobs(project.store)))
    ended = run(
        project,
        """
        @mw.step
        def step(a, b):
            return [a, b]
        """,
        {"a": stored, "b": Many((Constant("x"), Many((stored,))))},
    )
    assert ended.value == [(1, 2), ["x", [(1, 2)]]]


def test_arguments_of_every_kind_reach_their_parameters(project: Project) -> None:
    ended = run(
        project,
        """
        @mw.step
        def step(a, b=2, /, c=3, *, d=4, **rest):
            return [a, b, c, d, rest]
        """,
        {"a": Constant(1), "d": Constant(0), "e": Constant(5)},
    )
    assert ended.value == [1, 2, 3, 0, {"e": 5}]


def test_only_rank_0_stores_its_value(project: Project) -> None:
    text = """
        @mw.step
        def step():
            return lambda: "cannot be stored"
    """
    ended = run(project, text, rank=1)
    assert ended.code == 0
    assert ended.report is not None
    assert ended.report.output is None


def test_a_model_is_kept_and_passed_on(project: Project) -> None:
    ended = run(
        project,
        """
        @mw.step
        def step():
            model = mw.log_model({"w": [1]}, name="cnn", metrics={"accuracy": 0.9, "loss": float("inf")})
            assert model.load() == {"w": [1]}
            again = mw.log_model(model, name="copy")
            assert again.load() == {"w": [1]}
            return again
        """,
    )
    assert ended.report is not None, ended.log
    first, second = ended.report.artifacts
    assert (first.name, first.kind, first.metrics) == ("cnn", "model", {"accuracy": 0.9})
    assert ended.report.output == second
    assert (second.name, second.digest) == ("copy", first.digest)
    assert ended.report.metrics == {"accuracy": 0.9}


def test_an_object_of_the_flow_file_comes_back_in_the_next_step(project: Project) -> None:
    text = """
        class Net:
            def __init__(self, size): self.size = size

        @mw.step
        def step(): return Net(3)

        @mw.step
        def use(net): return net.size
    """
    first = run(project, text)
    assert first.report is not None, first.log
    assert first.report.output is not None
    (project.folder.parent / "worker-0").rename(project.folder.parent / "first")
    second = run(project, text, {"net": Stored(first.report.output)}, function="use")
    assert second.value == 3


def test_a_step_of_another_module_is_found_by_its_module(project: Project) -> None:
    project.write("import makeway as mw\n@mw.step\ndef train(): return 'theirs'\n", "steps.py")
    text = """
        @mw.step
        def train(): return "mine"
    """
    assert run(project, text, function="steps:train").value == "theirs"


def test_threads_and_exit_handlers_run_to_their_end(project: Project) -> None:
    ended = run(
        project,
        """
        import atexit, threading, time

        @mw.step
        def step():
            def later():
                time.sleep(0.1)
                print("thread")
            threading.Thread(target=later).start()
            atexit.register(print, "exit handler")
        """,
    )
    assert (ended.code, ended.log) == (0, "thread\nexit handler\n")


def test_what_a_step_does_to_its_environment_does_not_hinder_its_end(project: Project) -> None:
    ended = run(
        project,
        """
        @mw.step
        def step():
            mw.log_metric("m", 1)
            os.environ.clear()
            os.chdir("/")
            sys.stdout = None
            return 3
        """,
    )
    assert (ended.code, ended.value) == (0, 3)


@pytest.mark.parametrize("call", ["sys.exit()", "sys.exit(0)", "raise SystemExit"])
def test_to_exit_with_success_is_to_give_nothing(project: Project, call: str) -> None:
    text = f"@mw.step\ndef step():\n    mw.log_metric('m', 1)\n    {call}\n"
    ended = run(project, text)
    assert ended.code == 0
    assert ended.report == Report(metrics={"m": 1.0}, dropped=1)  # there is no agent here


# ── it ends badly ───────────────────────────────────────────────────────────────────────────────────


def test_an_exception_is_written_down_with_the_users_lines(project: Project) -> None:
    project.write("def below(): return {}['x']\n", "rules.py")
    project.write("def inside(f): return f()\n", ".venv/lib/site-packages/lib.py")
    ended = run(
        project,
        """
        sys.path.append(os.path.dirname(__file__) + "/.venv/lib/site-packages")
        import lib
        import rules

        @mw.step
        def step():
            return lib.inside(rules.below)
        """,
    )
    assert ended.code == 1
    assert ended.report is None
    error = ended.error
    assert error is not None
    assert (error.type, error.message, error.bases[:1]) == ("KeyError", "'x'", ("LookupError",))
    users = [(Path(frame.file).name, frame.function) for frame in error.frames if frame.user]
    assert users == [("flow.py", "step"), ("rules.py", "below")]
    assert "KeyError: 'x'" in ended.log
    assert "makeway" not in ended.log


ERRORS = {
    "a message without end": ("raise ValueError('x' * 10**6)", "ValueError", "x" * 2000, None),
    "no message": ("raise ValueError", "ValueError", "", None),
    "an error of the system": ("open('/nowhere/a')", "FileNotFoundError", "[Errno 2] No such", 2),
    "an odd error number": ("raise OSError('a', 'b')", "OSError", "[Errno a] b", None),
    "not Unicode": ("raise ValueError('\\ud800')", "ValueError", "\\ud800", None),
    "an exception of the file": ("raise Mine('mine')", "flow.Mine", "mine", None),
    "one that cannot be shown": ("raise Mute()", "flow.Mute", "its message cannot be shown", None),
    "a recursion": ("step()", "RecursionError", "maximum recursion depth", None),
    "an interruption": ("raise KeyboardInterrupt", "KeyboardInterrupt", "", None),
    "a permanent one": ("raise mw.Permanent('no')", "makeway.errors.Permanent", "no", None),
    "a group": ("raise ExceptionGroup('g', [ValueError()])", "ExceptionGroup", "g (1 sub", None),
    "an unstorable value": (
        "return lambda: 1", "makeway.errors.InvalidInput", "a value of type function cannot", None,
    ),
    "a generator": ("return (i for i in 'ab')", "makeway.errors.InvalidInput", "a value of", None),
    "a metric that is none": (
        "mw.log_metric('m', 'high')", "makeway.errors.InvalidInput", "m is 'high', which is", None,
    ),
    "a selection": (
        "mw.select_top([1], metric='m')", "makeway.errors.InvalidWorkflow", "select_top belongs", None,
    ),
}  # fmt: skip


@pytest.mark.parametrize("body, kind, message, number", ERRORS.values(), ids=ERRORS)
def test_every_exception_can_be_written_down(
    project: Project, body: str, kind: str, message: str, number: int | None
) -> None:
    text = f"""
class Mine(Exception): ...
class Mute(Exception):
    def __str__(self): raise TypeError
@mw.step
def step():
    {body}
"""
    ended = run(project, text)
    assert ended.code == 1
    assert ended.error is not None, ended.log
    assert (ended.error.type, ended.error.errno) == (kind, number)
    assert ended.error.message.startswith(message)
    assert len(ended.error.frames) <= 50


@pytest.mark.parametrize(
    "call, code, log",
    [
        ("sys.exit(3)", 3, ""), ("sys.exit(75)", 75, ""), ("sys.exit(-1)", 255, ""),
        ("sys.exit(True)", 1, ""), ("sys.exit('sorry')", 1, "sorry\n"), ("os._exit(7)", 7, ""),
        ("os.kill(os.getpid(), 9)", -signal.SIGKILL, ""),
    ],
)  # fmt: skip
def test_an_exit_code_is_passed_through(project: Project, call: str, code: int, log: str) -> None:
    ended = run(project, f"@mw.step\ndef step():\n    {call}\n")
    assert (ended.code, ended.log) == (code, log)
    assert ended.report is None
    assert ended.error is None


def test_a_file_that_cannot_be_imported_any_more_says_so(project: Project) -> None:
    ended = run(project, "raise ValueError('broken')\n")
    assert ended.code == 1
    assert ended.error is not None
    assert ended.error.type == "makeway.errors.InvalidWorkflow"
    assert ended.error.message == "it cannot be imported: ValueError: broken"


def test_an_artifact_that_is_lost_is_named(project: Project) -> None:
    lost = Stored(encode((1, 2), Blobs(project.store)))
    Blobs(project.store).path(lost.output.digest).unlink()
    ended = run(project, "@mw.step\ndef step(a): ...\n", {"a": lost})
    assert ended.error is not None
    assert ended.error.type == "FileNotFoundError"
    assert lost.output.digest in ended.error.message


def test_print_survives_every_character(project: Project) -> None:
    text = "@mw.step\ndef step():\n    print('ä\\ud800')\n    print('\\u2603', file=sys.stderr)\n"
    ended = run(project, text)
    assert (ended.code, ended.log) == (0, "ä\\ud800\n☃\n")
