"""Where a worker finds the tracking endpoint, and what its token is worth."""

from __future__ import annotations

import stat
from pathlib import Path

import msgspec
import pytest

from makeway.executor.protocol import Launch
from makeway.executor.tracking import (
    FILE,
    Speaker,
    known_endpoint,
    note_endpoint,
    speaker_of,
    token_of,
    variables,
)
from makeway.model.job import Program

SPEAKER = Speaker(job="1qqkzfz9aew8.train[0]", number=2, rank=3, fence=7)
URL = "http://127.0.0.1:7070"


def launch(store: Path) -> Launch:
    return Launch(
        job=SPEAKER.job, number=2, fence=7, rank=3, workers=4, workers_min=4, workers_max=4,
        local_rank=3, local_workers=4, node="n1", node_rank=0, nodes=1, address="127.0.0.1",
        barrier_ms=1, sample_ms=1, program=Program(argv=("true",)), run="1qqkzfz9aew8",
        step="train[0]", store=str(store), controller="",
    )  # fmt: skip


def test_a_token_says_for_which_worker_it_speaks() -> None:
    assert speaker_of(token_of(SPEAKER, "key"), "key") == SPEAKER


@pytest.mark.parametrize("place", range(0, 60, 7))
def test_a_token_that_was_changed_anywhere_is_worth_nothing(place: int) -> None:
    token = token_of(SPEAKER, "key")
    other = "1" if token[place] != "1" else "2"
    assert speaker_of(f"{token[:place]}{other}{token[place + 1 :]}", "key") is None


@pytest.mark.parametrize("token", ["", "_", "mww_", "mww_1_1_0_61_", "mww_a_b_c_d_e", "é_é"])
def test_what_is_no_token_is_worth_nothing(token: str) -> None:
    assert speaker_of(token, "key") is None


def test_a_token_of_another_store_is_worth_nothing() -> None:
    assert speaker_of(token_of(SPEAKER, "key"), "another key") is None


def test_only_the_owner_can_read_the_key_and_it_stays_when_the_address_changes(
    tmp_path: Path,
) -> None:
    first = note_endpoint(tmp_path, URL)
    second = note_endpoint(tmp_path, "http://127.0.0.1:7071")
    assert second.key == first.key
    assert known_endpoint(tmp_path) == second
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600


def test_a_worker_gets_what_the_client_needs(tmp_path: Path) -> None:
    endpoint = note_endpoint(tmp_path, URL)
    given = variables(launch(tmp_path), {"PATH": "/bin"})
    assert given["MLFLOW_TRACKING_URI"] == URL
    assert given["MLFLOW_RUN_ID"] == "1qqkzfz9aew8_2etrain_5b0_5d"
    assert given["MLFLOW_EXPERIMENT_ID"] == "r-1qqkzfz9aew8"
    assert speaker_of(given["MLFLOW_TRACKING_TOKEN"], endpoint.key) == SPEAKER


def test_a_worker_with_another_endpoint_gets_nothing_of_ours(tmp_path: Path) -> None:
    note_endpoint(tmp_path, URL)
    assert variables(launch(tmp_path), {"MLFLOW_TRACKING_URI": "http://elsewhere"}) == {}


def test_where_nobody_offers_an_endpoint_there_is_nothing_to_be_told(tmp_path: Path) -> None:
    assert variables(launch(tmp_path), {}) == {}
    (tmp_path / FILE).write_bytes(msgspec.json.encode({"strange": 1}))
    assert variables(launch(tmp_path), {}) == {}
