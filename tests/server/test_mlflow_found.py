"""What only MLflow's client knows is found by makeway's own search as well."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from makeway.client.client import Client
from makeway.wire.search import SearchWanted
from tests.server.site import Site, site_in
from tests.server.test_mlflow import MlflowClient, fresh, made, signs


def found(site: Site, query: str) -> list[dict[str, Any]]:
    with Client(site.running.url, site.ada.token) as desk:
        wanted = SearchWanted(query=query, order_by=("metrics.acc DESC",))
        items = desk.search(wanted).items
    return [msgspec.to_builtins(item) for item in items]


def test_a_run_of_the_client_is_found_by_what_it_logged_until_it_is_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with site_in(tmp_path / ".makeway") as site:
        signs(monkeypatch, site.ada)
        client = MlflowClient(site.running.url)
        shelf = fresh(client, "shelf")
        for name, acc in (("small", 0.7), ("large", 0.9), ("other", 0.8)):
            told = {"metrics": {"acc": acc}, "params": {"lr": str(acc / 100)}}
            run = made(client, shelf, name, **told, tags={"team name": "blue"})

        assert [one["name"] for one in found(site, "metrics.acc > 0.75")] == ["large", "other"]
        [large] = found(site, "metrics.acc > 0.85 AND params.lr < 0.05 AND state = 'running'")
        assert (large["kind"], large["user"]) == ("tracked", "ada")
        assert large["metrics"] == {"acc": 0.9}
        assert len(found(site, "tags.`team name` = 'blue'")) == 3

        client.set_terminated(run)
        assert [one["state"] for one in found(site, "name = 'other'")] == ["succeeded"]
        client.delete_run(run)
        assert found(site, "name = 'other'") == []
