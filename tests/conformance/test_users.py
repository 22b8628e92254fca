"""A program runs as the user whose job it is, where we may do that; what is ours stays ours."""

from __future__ import annotations

import os
import pwd
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from makeway.executor.equipment import Site
from makeway.executor.folder import AGENT, AgentRecord, read_whole
from makeway.model.job import Program
from tests.conformance.stage import Stage, script

OTHER = "nobody"

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")


@pytest.fixture
def store() -> Iterator[Path]:
    """A store that others can reach, unlike the folder of a test."""
    folder = Path(tempfile.mkdtemp(prefix="makeway-users-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def stage(store: Path) -> Iterator[Stage]:
    made = Stage(store)
    yield made
    made.close()


def run_as(stage: Stage, program: Program, user: str, **asked: int) -> None:
    stage.launch(program, user=user, asked=asked)
    stage.ready()
    stage.release()
    stage.exit()


@pytest.mark.parametrize("asked", [{}, {"memory_bytes": 1 << 30}], ids=["free", "limited"])
def test_a_program_runs_as_its_user(stage: Stage, asked: dict[str, int]) -> None:
    run_as(stage, script("id -un; id -G; echo $HOME $USER $LOGNAME"), OTHER, **asked)
    entry = pwd.getpwnam(OTHER)
    groups = os.getgrouplist(OTHER, entry.pw_gid)
    name, numbers, variables = stage.log().splitlines()
    assert name == OTHER
    assert {int(number) for number in numbers.split()} == set(groups)
    assert variables == f"{entry.pw_dir} {OTHER} {OTHER}"
    record = read_whole(stage.folder() / AGENT, AgentRecord)
    assert record is not None
    assert record.run_as == OTHER


def test_it_has_none_of_our_rights(stage: Stage) -> None:
    ours = "kill -0 $PPID || echo no; cat /etc/shadow || echo no; grep CapEff /proc/self/status"
    run_as(stage, script(f"exec 2> /dev/null; {ours}"), OTHER)
    assert stage.log().split() == ["no", "no", "CapEff:", "0" * 16]


def test_it_may_write_what_is_its_own(stage: Stage) -> None:
    own = (
        "set -e; echo again > /dev/stdout; mkdir -p $MAKEWAY_CHECKPOINT/1;"
        """ echo '{"fence": 1}' > $MAKEWAY_DIR/yield.json; exit 75"""
    )
    stage.launch(script(own), user=OTHER)
    stage.ready()
    stage.release()
    ended = stage.exit()
    assert stage.log() == "again\n"
    assert ended.yielded is not None


def test_it_can_neither_change_what_is_ours_nor_put_a_trap_in_our_way(
    stage: Stage, store: Path
) -> None:
    victim = store / "victim"
    victim.write_text("as it was")
    tamper = (
        "cd $MAKEWAY_DIR; rm -f launch.json agent.json lock; mv agent.json x; echo > launch.json;"
        f" for name in exit.json notice; do ln -s {victim} .$name.$PPID; done;"
        f""" echo '{{"at_ms": 1, "code": 0}}' > exit.json; exit 3"""
    )
    stage.launch(script(tamper), user=OTHER)
    stage.ready()
    stage.release()
    assert stage.exit().code == 3
    assert victim.read_text() == "as it was"
    assert (stage.folder() / "launch.json").stat().st_uid == 0
    assert (stage.folder() / AGENT).exists()


def test_a_forged_end_is_not_believed_after_a_restart(stage: Stage, store: Path) -> None:
    forge = (
        """echo '{"at_ms": 1, "code": 0}' > $MAKEWAY_DIR/exit.json; touch $MAKEWAY_CHECKPOINT/there;"""
        """ while [ ! -e $MAKEWAY_CHECKPOINT/done ]; do sleep 0.02; done; exit 4"""
    )
    stage.launch(script(forge), user=OTHER)
    stage.ready()
    stage.release()
    stage.started()
    checkpoint = stage.folder().parents[1] / "checkpoint"
    stage.until_true((checkpoint / "there").exists)
    stage.restart()
    stage.launch(script(forge), user=OTHER)
    stage.started()
    (checkpoint / "done").touch()
    assert stage.exit().code == 4


def test_the_secrets_of_the_controller_are_not_for_other_users(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAKEWAY_TOKEN", "secret")
    stage = Stage(store)
    try:
        run_as(stage, script("echo [$MAKEWAY_TOKEN]"), OTHER)
        assert stage.log() == "[]\n"
    finally:
        stage.close()


def test_a_directory_that_the_user_may_not_enter_is_refused(stage: Stage, store: Path) -> None:
    closed = store / "closed"
    closed.mkdir(mode=0o700)
    stage.launch(Program(argv=("true",), directory=str(closed)), user=OTHER)
    stage.ready()
    stage.release()
    ended = stage.exit()
    assert not ended.started
    assert ended.error is not None
    assert str(closed) in ended.error.message


def test_who_is_no_user_here_runs_as_we_do(stage: Stage) -> None:
    run_as(stage, script("id -u"), "nobody-knows-them")
    assert stage.log() == "0\n"


def test_who_is_no_user_here_does_not_run_where_the_site_forbids_it(store: Path) -> None:
    stage = Stage(store, Site(users_required=True))
    try:
        stage.launch(script("id -u"), user="nobody-knows-them")
        ended = stage.exit()
        assert not ended.started
        assert ended.error is not None
        assert "nobody-knows-them is no user of this machine" in ended.error.message
    finally:
        stage.close()
