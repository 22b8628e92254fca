"""The commands of a shared machine, as people type them, against the service itself."""

from __future__ import annotations

import json
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.acceptance.screen import on_a_terminal
from tests.acceptance.service import Shop, cpu_ms, lines, opened

pytestmark = pytest.mark.slow
ONE = ("--cpus", "0.1", "--")
LONG = ("sh", "-c", "echo begun; exec sleep 60")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with opened(tmp_path_factory.mktemp("shop")) as found:
        yield found


# ── a job from beginning to end ───────────────────────────────────────────────────────────────────


def test_a_job_is_brought_awaited_and_read(shop: Shop) -> None:
    job = shop.submits("--name", "hello", *ONE, "sh", "-c", "echo $WHO in $PWD", "--flag")
    assert shop.types("wait", job).returncode == 0
    assert shop.types("logs", job).stdout == f"in {shop.folder}\n"
    found = shop.reads("job", "show", job)
    assert (found["phase"], found["name"], found["id"]) == ("succeeded", "hello", job)
    assert [one["number"] for one in found["attempts"]] == [1]
    assert shop.reads("job", "show", job[:9])["id"] == job
    assert shop.reads("job", "show", "@last")["id"] == job


def test_what_is_watched_is_followed_to_its_end_and_a_bad_one_is_told(shop: Shop) -> None:
    done = shop.types("submit", "--watch", *ONE, "sh", "-c", "echo out; exit 3", expect=5)
    name, *printed = done.stdout.splitlines()
    assert printed == ["out"]
    assert f"job {name} (sh) failed" in done.stderr
    shop.types("wait", name, expect=5)
    assert shop.types("submit", "--watch", *ONE, "echo", "well").stdout.splitlines()[1:] == ["well"]


def test_a_file_and_options_make_one_job_and_a_mistake_in_it_has_its_line(shop: Shop) -> None:
    file = shop.folder / "job.yaml"
    file.write_text("name: filed\ncommand: [sleep, '60']\nper_worker: {cpus: 0.1}\n", "utf-8")
    job = shop.submits("-f", "job.yaml", "--name", "typed", "--hold", "--env", "A=1")
    assert shop.reads("job", "show", job)["name"] == "typed"
    assert shop.reads("why", job)["wait"]["reason"] == "Held"
    file.write_text("name: filed\ncommand: [true]\nper_worker:\n  memory: lots\n", "utf-8")
    wrong = shop.types("submit", "-f", "job.yaml", expect=2)
    assert "job.yaml:4" in wrong.stderr
    assert wrong.stdout == ""


def test_a_job_that_can_never_run_is_refused_and_one_that_is_tried_out_leaves_nothing(
    shop: Shop,
) -> None:
    refused = shop.types("submit", "--cpus", "100000", "--name", "huge", "--", "true", expect=8)
    assert "cpus" in refused.stderr
    assert refused.stdout == ""
    assert "huge" not in shop.types("queue").stdout
    before = shop.types("events", "-o", "name").stdout
    tried = shop.types("submit", "--dry-run", "--cpus", "100000", "--", "true", expect=8)
    assert "NoNodeFits" in tried.stdout
    shop.types("submit", "--dry-run", *ONE, "true")
    assert shop.types("events", "-o", "name").stdout == before


def test_the_same_key_gives_the_same_job(shop: Shop) -> None:
    words = ("--key", "once", "--hold", *ONE, "true")
    assert shop.submits(*words) == shop.submits(*words)
    other = shop.types("submit", "--key", "once", "--hold", *ONE, "false", expect=7)
    assert "key" in other.stderr


def test_a_job_waits_for_the_end_of_another_that_is_meant(shop: Shop) -> None:
    first = shop.submits("--hold", *ONE, "false")
    second = shop.submits("--after", f"{first}:failed", *ONE, "echo", "rescued")
    why = shop.types("why", second).stdout
    assert "DependencyPending" in why
    assert first in why
    shop.types("release", first)
    shop.types("wait", second, "--timeout", "60s")
    assert shop.types("logs", second).stdout == "rescued\n"


# ── acting on jobs ────────────────────────────────────────────────────────────────────────────────


def test_held_released_cancelled_and_tried_again(shop: Shop) -> None:
    job = shop.submits("--hold", *ONE, *LONG)
    assert "held" in shop.types("queue").stdout
    assert shop.types("release", job).stdout.startswith(f"{job}  ")
    shop.types("logs", job, "-f", "--worker", "5", expect=3)
    shop.types("cancel", job)
    shop.types("wait", job, "--timeout", "60s", expect=5)
    assert shop.phase(job) == "cancelled"
    shop.types("cancel", job, expect=7)
    again = shop.reads("retry", job)
    assert again["id"] != job
    shop.types("job", "cancel", again["id"])


def test_one_that_cannot_be_done_keeps_no_other_from_it(shop: Shop) -> None:
    job = shop.submits("--hold", *ONE, "true")
    done = shop.types("cancel", "no-such-job", job, expect=3)
    assert "no-such-job" in done.stderr
    assert job in done.stdout
    assert shop.phase(job) == "cancelled"


def test_an_elastic_job_gets_other_bounds(shop: Shop) -> None:
    job = shop.submits("--hold", "--min", "1", "--max", "2", *ONE, "true")
    shop.types("resize", job, "--min", "2", "--max", "3")
    (group,) = shop.reads("job", "show", job)["groups"]
    assert (group["min"], group["max"]) == (2, 3)
    for words in (
        ("--workers", "1", "--min", "1"),
        ("--min", "1"),
        (),
        ("--min", "3", "--max", "1"),
    ):
        shop.types("resize", job, *words, expect=2)
    shop.types("cancel", job)


def test_a_wait_that_takes_too_long_says_so_and_harms_nothing(shop: Shop) -> None:
    job = shop.submits("--hold", *ONE, "true")
    late = shop.types("wait", job, "--timeout", "200ms", expect=6)
    assert "it goes on" in late.stderr
    shop.types("wait", job, "--timeout", "soon", expect=2)
    assert shop.phase(job) == "queued"
    shop.types("cancel", job)


def test_ctrl_c_ends_the_command_and_never_the_job(shop: Shop) -> None:
    job = shop.submits(*ONE, *LONG)
    for words in (("logs", "-f", job), ("wait", job), ("events", "-w", job), ("queue", "-w")):
        command = shop.begins(*words)
        command.waits_for("begun" if words[0] == "logs" else job if words[0] != "wait" else "")
        if words[0] == "wait":
            shop.types("status")  # by then it waits
        command.sends(signal.SIGINT)
        assert command.ends() == 130, command.said()
        assert "go on" in command.said() or "goes on" in command.said()
    watched = shop.begins("submit", "--watch", *ONE, *LONG)
    watched.waits_for("begun")
    watched.sends(signal.SIGINT)
    assert watched.ends() == 130
    other = watched.said().split()[0]
    assert f"makeway cancel {other}" in watched.said()
    assert [shop.phase(one) for one in (job, other)] == ["running", "running"]
    shop.types("cancel", job, other)
    shop.types("wait", job, other, expect=5)


# ── looking ───────────────────────────────────────────────────────────────────────────────────────


def test_the_line_has_places_and_reasons_in_every_format(shop: Shop) -> None:
    jobs = [shop.submits("--hold", "--name", f"n{at}", *ONE, "true") for at in range(3)]
    page = shop.reads("queue")
    assert {*jobs} <= {one["id"] for one in page["items"]}
    assert page["next_cursor"] is None
    assert yaml.safe_load(shop.types("queue", "-o", "yaml").stdout).keys() == page.keys()
    names = shop.types("queue", "-o", "name").stdout.split()
    assert names == [one["id"] for one in lines(shop.types("queue", "-o", "jsonl").stdout)]
    table, wide = shop.types("queue").stdout, shop.types("queue", "-o", "wide").stdout
    for text in (table, wide):
        assert "\x1b" not in text
        assert "Held: " in text
    assert "COMMAND" in wide
    assert "COMMAND" not in table
    shop.types("cancel", *jobs)


def test_lists_are_filtered_and_an_empty_one_says_what_to_do(shop: Shop) -> None:
    shop.submits(*ONE, "true")
    shop.types("wait", "@last")
    assert {one["phase"] for one in shop.reads("jobs", "--state", "succeeded")["items"]} == {
        "succeeded"
    }
    assert len(shop.reads("jobs", "--limit", "1")["items"]) == 1
    empty = shop.types("jobs", "--user", "nobody-here")
    assert empty.stdout == ""
    assert "makeway submit" in empty.stderr
    assert shop.reads("jobs", "--user", "nobody-here") == {"items": [], "next_cursor": None}
    shop.types("jobs", "--state", "sleeping", expect=2)


def test_shares_machines_decisions_and_status_are_told(shop: Shop) -> None:
    job = shop.submits("--queue", f"lab/{_user(shop)}", *ONE, *LONG)
    found = {one["path"]: one for one in shop.reads("shares", "lab")["items"]}
    assert [*found][:1] == ["lab"]
    assert "LAB" not in shop.types("shares").stdout
    assert shop.reads("shares", "--over", "1h")["items"]
    shop.types("shares", "nowhere", expect=3)
    (node,) = shop.reads("nodes")["items"]
    assert node["state"] == "ready"
    assert shop.reads("status")["url"].startswith("http://127.0.0.1:")
    assert shop.reads("decisions", "--job", job)["items"][-1]["job"] == job
    printed = shop.types("top").stdout
    assert all(word in printed for word in ("QUEUE", "NODE", job))
    shop.types("cancel", job)
    shop.types("wait", job, expect=5)


def _user(shop: Shop) -> str:
    user: str = shop.reads("status")["user"]
    return user


def test_a_machine_is_drained_and_works_again(shop: Shop) -> None:
    (name,) = shop.types("nodes", "-o", "name").stdout.split()
    assert shop.reads("nodes", "drain", name, "--text", "a fan is loud")["state"] in (
        "drained",
        "draining",
    )
    assert "a fan is loud" in shop.types("nodes").stdout
    assert shop.reads("nodes", "undrain", name)["state"] == "ready"
    shop.types("nodes", "drain", "nowhere", expect=3)
    assert shop.reads("nodes", "add", "n9", "--cpus", "4", "--label", "rack=r1")["name"] == "n9"
    shop.types("nodes", "remove", "n9")
    assert shop.types("nodes", "-o", "name").stdout.split() == [name]


def test_the_policy_that_is_shown_can_be_applied_and_changes_nothing(shop: Shop) -> None:
    (shop.folder / "policy.yaml").write_text(shop.types("policy", "show").stdout, "utf-8")
    checked = shop.reads("policy", "check", "policy.yaml")
    assert (checked["changes"], checked["applied"]) == ([], False)
    assert shop.reads("policy", "apply", "policy.yaml")["applied"]
    (shop.folder / "wrong.yaml").write_text("policy:\n  name: nonsense\n", "utf-8")
    assert "wrong.yaml:2" in shop.types("policy", "apply", "wrong.yaml", expect=2).stderr


def test_what_happens_is_told_as_it_happens(shop: Shop) -> None:
    watching = shop.begins("events", "-w")
    job = shop.submits("--hold", *ONE, "true")
    watching.waits_for(job)
    shop.types("cancel", job)
    watching.waits_for("JobFinished")
    watching.sends(signal.SIGINT)
    assert watching.ends() == 130
    kinds = [one["event"]["type"] for one in lines(shop.types("events", job, "-o", "jsonl").stdout)]
    assert kinds[0] == "JobSubmitted"
    assert kinds[-1] == "JobFinished"


# ── who may ask ───────────────────────────────────────────────────────────────────────────────────


def test_a_token_is_made_used_and_revoked(shop: Shop) -> None:
    made = shop.reads("token", "create", "--user", "bob", "--scope", "read", "--lasts", "1h")
    (shop.folder / "bob.token").write_text(made["token"] + "\n", "utf-8")
    as_bob = ("--url", shop.reads("status")["url"], "--token-file", "bob.token")
    assert json.loads(shop.types(*as_bob, "status", "-o", "json").stdout)["user"] == "bob"
    shop.types(*as_bob, "submit", *ONE, "true", expect=4)
    shop.types(*as_bob, "down", expect=4)
    assert "bob" in shop.types("token", "list").stdout
    assert made["token"] not in shop.types("token", "list", "-o", "json").stdout
    shop.types("token", "revoke", made["view"]["id"])
    shop.types(*as_bob, "status", expect=4)


def test_who_is_not_there_is_exit_9_and_says_what_to_do(tmp_path: Path) -> None:
    there = Shop(tmp_path)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    nobody = there.types("--url", url, "queue", expect=9)
    assert url in nobody.stderr
    assert "makeway up" in nobody.stderr
    assert url in there.types("--url", url, "submit", "--", "true", expect=9).stderr
    assert "makeway up" in there.types("down", expect=9).stderr


def test_what_does_not_exist_is_exit_3(shop: Shop) -> None:
    for words in (
        ("job", "show", "no-such"),
        ("why", "no-such"),
        ("logs", "no-such"),
        ("events", "no-such"),
        ("wait", "no-such"),
        ("cancel", "no-such"),
        ("token", "revoke", "no-such"),
    ):
        assert shop.types(*words, expect=3).stdout == ""


def test_the_doctor_finds_nothing_wrong_and_says_each_thing(shop: Shop) -> None:
    found = {one["check"]: one for one in shop.reads("doctor")}
    assert found["service"]["state"] == "ok"
    assert {"python", "store", "lock", "token", "cgroups", "gpus", "clock", "disk"} <= {*found}
    assert all(one["advice"] for one in found.values() if one["state"] != "ok")


@pytest.mark.parametrize("words", [("queue",), ("--help",), ("--version",)], ids=" ".join)
def test_what_is_asked_all_day_costs_little(shop: Shop, words: tuple[str, ...]) -> None:
    assert min(cpu_ms(shop.folder, *words) for _ in range(3)) <= 150


# ── the service itself ────────────────────────────────────────────────────────────────────────────


def test_a_job_outlives_its_service_and_the_store_answers_meanwhile(tmp_path: Path) -> None:
    with opened(tmp_path) as shop:
        job = shop.submits(*ONE, *LONG)
        follower = shop.begins("logs", "-f", job)
        follower.waits_for("begun")
        follower.sends(signal.SIGKILL)
        assert follower.ends() == -signal.SIGKILL
        shop.closes()
        assert shop.phase(job) == "running"
        assert job in shop.types("queue").stdout
        shop.types("cancel", job, expect=9)
        shop.opens()
        assert shop.phase(job) == "running"
        assert len(shop.reads("job", "show", job)["attempts"]) == 1


def test_who_follows_hears_on_after_the_service_was_gone(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with opened(tmp_path, port) as shop:
        first = shop.submits(
            *ONE, "sh", "-c", "echo begun; while [ ! -e go ]; do sleep 0.1; done; echo over"
        )
        following = [shop.begins("logs", "-f", first), shop.begins("wait", first)]
        watching = shop.begins("events", "-w", first)
        following[0].waits_for("begun")
        watching.waits_for("AttemptReleased")
        shop.closes()
        shop.opens()
        (tmp_path / "go").touch()
        assert [one.ends() for one in following] == [0, 0]
        assert following[0].said() == "begun\nover\n"
        watching.waits_for("JobFinished")
        watching.sends(signal.SIGINT)
        assert watching.ends() == 130
        seqs = [line.split()[0] for line in watching.said().splitlines() if " ← " in line]
        assert len(seqs) == len({*seqs})


def test_everything_is_watched_on_a_terminal_until_q(shop: Shop) -> None:
    job = shop.submits("--hold", "--name", "on-screen", *ONE, "true")
    for words, key in ((("top",), b"q"), (("queue", "-w"), b"\x03")):
        with on_a_terminal(shop.folder, *words) as screen:
            screen.waits_for("on-screen")
            shop.types("job", "show", job)
            screen.presses(key)
            assert screen.ends() == (0 if words == ("top",) else 130)
    shop.types("cancel", job)


def test_a_run_of_a_workflow_is_awaited_like_a_job(tmp_path: Path) -> None:
    there = Shop(tmp_path)
    step = (
        "import makeway as mw\n\n@mw.step(cpus=0.1)\ndef one(x: int) -> int:\n    return 1 // x\n\n"
    )
    flow = "@mw.workflow\ndef flow(x: int = 1):\n    return one(x)\n"
    (tmp_path / "flow.py").write_text(step + flow, "utf-8")
    there.types("run", "flow.py")
    assert there.reads("wait", "@last")["phase"] == "succeeded"
    there.types("run", "flow.py", "-P", "x=0", expect=5)
    (name,) = there.types("runs", "--limit", "1", "-o", "name").stdout.split()
    assert f"run {name} failed" in there.types("wait", name, expect=5).stdout
