"""One look at a large workflow tells which steps failed, why, and what they hold up (W4)."""

from __future__ import annotations

from pathlib import Path

from makeway.client.client import Client
from makeway.client.local import local_service
from tests.acceptance.cluster import cluster
from tests.acceptance.terminal import Terminal

FLOW = Path(__file__).parents[2] / "examples" / "failures" / "three_failed.py"
FAILED = {
    "train-wide": ("CODE_ERROR", "NameError: name 'summ' is not defined at three_failed.py", 1),
    "train-deep": ("USER_PERMANENT", "its licence has run out", 1),
    "train-tiny": ("BAD_DATA", "JSONDecodeError", 2),
}
FOUR = '[[nodes]]\nname = "n"\ncpus = 4\nmemory = "4GB"\n'


def test_w4_one_look_names_the_three_that_failed_why_and_what_they_hold_up(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path)
    terminal.types("run", str(FLOW), expect=5)

    found = terminal.reads("run-show", "@last")
    troubles = {one["step"]: one for one in found["troubles"]}
    assert troubles.keys() == FAILED.keys()
    for step, (cause, said, attempts) in FAILED.items():
        one = troubles[step]
        assert (one["cause"], one["attempts"]) == (cause, attempts)
        assert said in one["text"]
        assert one["hint"]
        assert one["holds_up"] == [step.replace("train", "serve"), "gather"]

    shown = terminal.types("run-show", "@last").stdout
    look = shown.partition("STEP")[0]
    for step, (cause, said, _) in FAILED.items():
        assert f"  {step} failed" in look
        assert cause in look
        assert said in look
        assert f"holds up  {step.replace('train', 'serve')}, gather" in look
    assert "train-cnn" not in look, "what went well is not in the way"

    listed = terminal.types("runs").stdout
    assert "did not succeed: train-wide, train-deep, train-tiny; held up: serve-wide," in listed


def test_w4_a_service_tells_the_same_over_http_while_the_run_goes_on(tmp_path: Path) -> None:
    with cluster(tmp_path, FOUR) as here:
        running = here.shop.begins("run", str(FLOW))
        service = local_service(tmp_path / ".makeway")
        assert service is not None
        with Client(service.url, service.token) as client:
            here.until(lambda: len(client.runs().items) == 1, "the run")
            [listed] = client.runs().items

            def tries_again() -> bool:
                return any(one.phase == "backoff" for one in client.run("@last").troubles)

            here.until(tries_again, "the pause of train-tiny")
            waits = {one.step: one for one in client.run("@last").troubles}["train-tiny"]
            assert "this step alone is tried again" in waits.text
            assert waits.holds_up == ("serve-tiny", "gather")

            assert running.ends() == 5
            run = client.run(listed.id)
            assert {one.step: one.cause for one in run.troubles} == {
                step: cause for step, (cause, _, _) in FAILED.items()
            }
            assert (run.count, run.good) == (14, 7)
            assert client.runs(limit=1, cursor=listed.id).items == ()
