"""What MLflow's own client asks for beside the workers: runs of its own, searches, files, errors."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from makeway.server.office import Settings
from tests.server.site import Answer, Person, Site, site_in

mlflow = pytest.importorskip("mlflow")
MlflowClient: Any = mlflow.MlflowClient
MlflowException: Any = mlflow.exceptions.MlflowException

FILES = "/api/2.0/mlflow-artifacts/artifacts"
FILE_MAX_BYTES = 3_000_000


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    settings = Settings(artifact_max_bytes=FILE_MAX_BYTES, body_max_bytes=1 << 20)
    with site_in(tmp_path_factory.mktemp("mlflow") / ".makeway", settings) as site:
        yield site


@pytest.fixture
def client(place: Site, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Give the client of ada, who sees a mistake at once."""
    signs(monkeypatch, place.ada)
    return MlflowClient(place.running.url)


def signs(monkeypatch: pytest.MonkeyPatch, person: Person) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", person.token or "")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")


def fresh(client: Any, name: str) -> str:
    """Make an experiment of this name and give its id."""
    made: str = client.create_experiment(name)
    return made


def made(client: Any, experiment: str, name: str, **told: Any) -> str:
    """Make a run with these metrics, parameters and tags, and give its id."""
    run = client.create_run(experiment, run_name=name, tags=told.get("tags"))
    for key, value in told.get("metrics", {}).items():
        client.log_metric(run.info.run_id, key, value)
    for key, value in told.get("params", {}).items():
        client.log_param(run.info.run_id, key, value)
    found: str = run.info.run_id
    return found


def code_of(error: Any) -> str:
    code: str = error.value.error_code
    return code


# ── searches ──────────────────────────────────────────────────────────────────────────────────────

RUNS: Mapping[str, Mapping[str, Any]] = {
    "small": {"metrics": {"acc": 0.7, "loss": 1.5}, "params": {"net": "cnn", "lr": "0.1"}},
    "large": {"metrics": {"acc": 0.9, "loss": 0.5}, "params": {"net": "cnn", "lr": "0.01"}},
    "other": {"metrics": {"acc": 0.8}, "params": {"net": "Tree"}, "tags": {"team name": "blue"}},
    "broken": {"metrics": {"acc": math.nan}, "tags": {"team name": "red"}},
}


@pytest.fixture(scope="module")
def shelf(place: Site) -> Iterator[str]:
    """Give an experiment with these four runs."""
    with pytest.MonkeyPatch.context() as patch:
        signs(patch, place.ada)
        client = MlflowClient(place.running.url)
        experiment = fresh(client, "shelf")
        for name, told in RUNS.items():
            made(client, experiment, name, **told)
        yield experiment


FILTERS = [
    ("", {"small", "large", "other", "broken"}),
    ("metrics.acc > 0.75", {"large", "other"}),
    ("metrics.acc > 0.75 and params.net = 'cnn'", {"large"}),
    ("metrics.acc <= 0.7 or tags.`team name` = 'red'", {"small", "broken"}),
    ("params.net ILIKE 'tr%'", {"other"}),
    ("params.net LIKE 'tr%'", set()),
    ("params.lr < 0.05", {"large"}),
    ("params.lr = '0.1'", {"small"}),
    ("params.net != 'cnn'", {"other"}),
    ("tags.\"team name\" IN ('red', 'green')", {"broken"}),
    ("NOT params.net IS NULL", {"small", "large", "other"}),
    ("metrics.loss IS NULL", {"other", "broken"}),
    ("attributes.run_name = 'small'", {"small"}),
    ("status = 'RUNNING' AND run_name != 'small'", {"large", "other", "broken"}),
    ("attributes.start_time > 0 AND user_id = 'ada'", {"small", "large", "other", "broken"}),
    ("metrics.nobody > 1", set()),
]


@pytest.mark.parametrize("text, names", FILTERS, ids=[text or "all" for text, _ in FILTERS])
def test_runs_are_found_by_a_filter(client: Any, shelf: str, text: str, names: set[str]) -> None:
    assert {run.info.run_name for run in client.search_runs([shelf], text)} == names


ORDERS = [
    (["metrics.acc DESC"], ["large", "other", "small", "broken"]),
    (["metrics.acc ASC"], ["small", "other", "large", "broken"]),
    (["params.net", "metrics.loss DESC"], ["other", "small", "large", "broken"]),
    (["attributes.run_name"], ["broken", "large", "other", "small"]),
    ([], ["broken", "other", "large", "small"]),
]


@pytest.mark.parametrize("orders, names", ORDERS, ids=str)
def test_runs_come_in_the_order_that_is_asked_for(
    client: Any, shelf: str, orders: list[str], names: list[str]
) -> None:
    found = client.search_runs([shelf], order_by=orders)
    assert [run.info.run_name for run in found] == names


def test_pages_lead_through_all_even_if_a_run_comes_meanwhile(client: Any) -> None:
    experiment = fresh(client, "pages")
    for number in range(5):
        made(client, experiment, f"run {number}")
    names, token = list[str](), None
    while True:
        page = client.search_runs([experiment], max_results=2, page_token=token)
        names += [run.info.run_name for run in page]
        token = page.token
        if not token:
            break
        made(client, experiment, "late")
    assert names == [f"run {number}" for number in (4, 3, 2, 1, 0)]


def test_what_was_logged_comes_with_a_run_that_is_found(client: Any, shelf: str) -> None:
    (run,) = client.search_runs([shelf], "run_name = 'large'")
    assert run.data.metrics == {"acc": 0.9, "loss": 0.5}
    assert run.data.params == {"net": "cnn", "lr": "0.01"}
    assert (run.info.user_id, run.info.status) == ("ada", "RUNNING")


WRONG = [
    ("metrics.acc >", "^"),
    ("attributes.stat = 'x'", "status"),
    ("metrik.acc > 1", "metrics"),
    ("acc > 1", "there is no attribute"),
]


@pytest.mark.parametrize("text, told", WRONG, ids=[text for text, _ in WRONG])
def test_a_filter_that_does_not_read_is_refused_with_what_is_meant(
    client: Any, shelf: str, text: str, told: str
) -> None:
    with pytest.raises(MlflowException) as refused:
        client.search_runs([shelf], text)
    assert code_of(refused) == "INVALID_PARAMETER_VALUE"
    assert told in str(refused.value)


@pytest.mark.parametrize("limit", [0, -1, 50_001])
def test_a_page_of_no_size_is_refused(client: Any, shelf: str, limit: int) -> None:
    with pytest.raises(MlflowException) as refused:
        client.search_runs([shelf], max_results=limit)
    assert code_of(refused) == "INVALID_PARAMETER_VALUE"


def test_jobs_are_found_beside_runs_that_only_the_client_knows(place: Site, client: Any) -> None:
    job = place.ada.submit(name="waits")
    made(client, "0", "told")
    found = {run.info.run_name: run for run in client.search_runs(["0"], "status LIKE '%ED%'")}
    assert found["waits"].info.run_id == job["id"]
    assert found["waits"].info.status == "SCHEDULED"
    assert "told" not in found


def test_a_table_of_runs_is_made(place: Site, client: Any, shelf: str) -> None:
    pytest.importorskip("pandas")
    mlflow.set_tracking_uri(place.running.url)
    try:
        table = mlflow.search_runs([shelf], "metrics.acc > 0.75", order_by=["metrics.acc DESC"])
        assert list(table["params.net"]) == ["cnn", "Tree"]
        by_name = mlflow.search_runs(experiment_names=["shelf"], filter_string="metrics.loss = 0.5")
        assert list(by_name["run_id"]) == [table["run_id"][0]]
    finally:
        mlflow.set_tracking_uri(None)


def test_an_experiment_is_found_renamed_put_away_and_brought_back(client: Any) -> None:
    experiment = fresh(client, "first name")
    client.set_experiment_tag(experiment, "owner", "lab")
    client.rename_experiment(experiment, "second name")
    (found,) = client.search_experiments(filter_string="tags.owner = 'lab'")
    assert (found.name, found.tags) == ("second name", {"owner": "lab"})
    assert client.get_experiment_by_name("first name") is None
    client.delete_experiment(experiment)
    assert not client.search_experiments(filter_string="name = 'second name'")
    with pytest.raises(MlflowException):
        client.create_run(experiment)
    client.restore_experiment(experiment)
    assert client.get_experiment(experiment).lifecycle_stage == "active"


@pytest.mark.parametrize("name", ["taken", "jobs", "Default"])
def test_a_name_is_given_once(client: Any, name: str) -> None:
    if name == "taken":
        fresh(client, name)
    with pytest.raises(MlflowException) as refused:
        client.create_experiment(name)
    assert code_of(refused) == "RESOURCE_ALREADY_EXISTS"


# ── telling ───────────────────────────────────────────────────────────────────────────────────────


def test_of_two_that_log_a_parameter_at_once_one_is_refused(client: Any) -> None:
    run = made(client, "0", "contested")

    def tries(value: int) -> bool:
        try:
            client.log_param(run, "rate", value)
        except MlflowException:
            return False
        return True

    with ThreadPoolExecutor(8) as crowd:
        assert sum(crowd.map(tries, range(8))) == 1


def test_a_thousand_metrics_at_once_are_all_there(client: Any) -> None:
    from mlflow.entities import Metric

    run = made(client, "0", "many")
    client.log_batch(run, [Metric("m", step / 7, 1_000 + step, step) for step in range(1_000)])
    history = client.get_metric_history(run, "m")
    assert [one.value for one in history] == [step / 7 for step in range(1_000)]
    page = client.get_metric_history(run, "m")
    assert page[0].step == 0
    assert client.get_run(run).data.metrics["m"] == 999 / 7


@pytest.mark.parametrize(
    "metric",
    [
        {"key": "", "value": 1},
        {"key": "m" * 251, "value": 1},
        {"key": "m", "value": "many"},
        {"key": "m", "value": 1, "step": 2**63},
        {"key": "m", "value": 1, "timestamp": "soon"},
    ],
    ids=["no name", "long name", "no number", "huge step", "no time"],
)
def test_a_sample_that_cannot_be_kept_is_refused_with_all_that_came_with_it(
    place: Site, client: Any, metric: Mapping[str, Any]
) -> None:
    run = made(client, "0", "odd")
    body = {"run_id": run, "metrics": [{"key": "good", "value": 1}, metric]}
    answer = asks(place.ada, "POST", "/api/2.0/mlflow/runs/log-batch", body)
    assert (answer.status, answer.json["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    assert client.get_run(run).data.metrics == {}


def test_a_person_tells_only_of_what_is_theirs(
    place: Site, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = made(client, "0", "ada's")
    signs(monkeypatch, place.person("ben"))
    bens = MlflowClient(place.running.url)
    assert bens.get_run(run).info.user_id == "ada"
    with pytest.raises(MlflowException) as tagged:
        bens.set_tag(run, "mine", "now")
    with pytest.raises(MlflowException) as deleted:
        bens.delete_run(run)
    assert code_of(tagged) == code_of(deleted) == "PERMISSION_DENIED"
    assert asks(place.person("ben"), "PUT", f"{FILES}/runs/{run}/note.txt", b"x").status == 403
    signs(monkeypatch, place.root)
    MlflowClient(place.running.url).set_tag(run, "seen", "by an operator")


def test_a_run_that_is_not_there_is_said_to_be_not_there(client: Any) -> None:
    with pytest.raises(MlflowException) as refused:
        client.get_run("nobody")
    assert code_of(refused) == "RESOURCE_DOES_NOT_EXIST"


def test_a_run_is_put_away_and_brought_back(client: Any) -> None:
    experiment = fresh(client, "away")
    run = made(client, experiment, "one")
    client.delete_run(run)
    assert not client.search_runs([experiment])
    assert len(client.search_runs([experiment], run_view_type=3)) == 1
    client.restore_run(run)
    assert len(client.search_runs([experiment])) == 1


# ── files, and what is not here ───────────────────────────────────────────────────────────────────


def asks(person: Person, method: str, path: str, body: object = None) -> Answer:
    """Ask without the client, which would not ask so."""
    connection = person.connection()
    data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    try:
        headers = {**person.signed(), "Content-Type": "application/json"}
        connection.request(method, path, data, headers)
        response = connection.getresponse()
        return Answer(response.status, dict(response.getheaders()), response.read())
    finally:
        connection.close()


@pytest.mark.parametrize(
    "path",
    [
        "runs/RUN/../../x", "runs/RUN/%2e%2e/x", "runs/RUN/a%2F..%2Fb", "runs/RUN/a//b", "runs/RUN",
        "runs/RUN/a%5Cb", "runs/RUN/a%00b", "elsewhere/x", "runs/RUN/" + "d/" * 500 + "x",
        "runs/RUN/" + "x" * 256,
    ],
)  # fmt: skip
def test_a_path_that_leads_out_or_nowhere_is_refused(place: Site, client: Any, path: str) -> None:
    run = made(client, "0", "files")
    answer = asks(place.ada, "PUT", f"{FILES}/{path.replace('RUN', run)}", b"x")
    assert answer.status in {400, 404}, answer.body
    assert answer.json["error_code"] in {"INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST"}
    assert not client.list_artifacts(run)


def test_a_file_that_is_too_long_leaves_nothing_behind(place: Site, client: Any) -> None:
    run = made(client, "0", "long")
    client.log_text(run, "x" * FILE_MAX_BYTES, "most.txt")

    def endless() -> Iterator[bytes]:
        for _ in range(FILE_MAX_BYTES // 100_000 + 1):
            yield b"x" * 100_000

    connection = place.ada.connection()
    path = f"{FILES}/runs/{run}/more.bin"
    connection.request("PUT", path, endless(), place.ada.signed(), encode_chunked=True)
    assert connection.getresponse().status == 413
    connection.close()
    assert [one.path for one in client.list_artifacts(run)] == ["most.txt"]
    assert not [*(place.service.store / "artifacts").glob(".new-*")]


def test_files_are_deleted_from_the_list(place: Site, client: Any) -> None:
    run = made(client, "0", "deleted")
    for name in ("a/one.txt", "a/two.txt", "ab.txt"):
        client.log_text(run, name, name)
    assert asks(place.ada, "DELETE", f"{FILES}/runs/{run}/a").status == 200
    assert [one.path for one in client.list_artifacts(run)] == ["ab.txt"]
    assert asks(place.ada, "DELETE", f"{FILES}/runs/{run}/a").status == 404


@pytest.mark.parametrize("path", ["registered-models/search", "traces", "runs/strange"])
def test_a_part_of_mlflow_that_is_not_here_is_said_to_be_not_here(place: Site, path: str) -> None:
    answer = asks(place.ada, "GET", f"/api/2.0/mlflow/{path}")
    assert (answer.status, answer.json["error_code"]) == (404, "ENDPOINT_NOT_FOUND")


def test_nobody_is_answered_without_a_token(place: Site) -> None:
    answer = asks(place.nobody, "GET", "/api/2.0/mlflow/runs/get?run_id=x")
    assert (answer.status, answer.json["error_code"]) == (401, "UNAUTHENTICATED")


def test_a_workers_token_opens_nothing_else(place: Site) -> None:
    from makeway.executor.tracking import Speaker, known_endpoint, token_of

    endpoint = known_endpoint(place.service.store)
    assert endpoint is not None
    job = place.ada.submit(name="held")["id"]
    token = token_of(Speaker(job=job, number=1, rank=0, fence=1), endpoint.key)
    worker = Person(place.running, token)
    assert worker.get("/jobs").status == 401
    # It has no attempt that runs: so it is worth nothing even here.
    answer = asks(worker, "GET", f"/api/2.0/mlflow/runs/get?run_id={job}")
    assert answer.status == 401
