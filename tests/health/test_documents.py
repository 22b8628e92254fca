"""The documents of evidence: each row of the taxonomy, told as one would meet it.

A series that says the same again and again is written `{each: value, times: many}`, one a second.
"""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from makeway.cli.diagnosefile import read_incident
from makeway.errors import InvalidInput
from makeway.health.judge import judge
from makeway.health.remedy import remedy
from makeway.intake.evidence import incident_of
from makeway.intake.located import item_of
from makeway.model.record import Cause
from makeway.wire.diagnosis import written

FOLDER = Path(__file__).parent / "documents"
EXAMPLES = sorted((Path(__file__).parents[2] / "examples" / "evidence").glob("*.yaml"))
ACTIONS = {"retry", "requeue", "rerun_upstream", "wait", "replace_worker", "rebalance", "yield",
           "stop", "continue"}  # fmt: skip


def unfolded(value: Any) -> Any:
    if isinstance(value, dict) and set(value) == {"each", "times"}:
        return [[at, value["each"]] for at in range(1, value["times"] + 1)]
    if isinstance(value, dict):
        return {str(key): unfolded(one) for key, one in value.items()}
    return [unfolded(one) for one in value] if isinstance(value, list) else value


CASES = [
    pytest.param(unfolded(entry["document"]), entry["expect"], id=f"{path.stem}: {entry['case']}")
    for path in sorted(FOLDER.glob("*.yaml"))
    for entry in yaml.safe_load(path.read_text("utf-8"))
]
DOCUMENTS: list[Any] = [case.values[0] for case in CASES]


def answer(document: Any) -> dict[str, Any]:
    judgement = judge(incident_of(item_of(document, "evidence")))
    return written(judgement.diagnosis, remedy(judgement))


def at(document: Any, ref: str) -> Any:
    """Follow a reference into a document."""
    for index, key in re.findall(r"\[(\d+)(?:\.\.\d+)?\]|([^.\[\]]+)", ref):
        document = document[int(index)] if index else document[key]
    return document


@pytest.mark.parametrize("document, expect", CASES)
def test_a_document_is_judged_as_its_row_says(document: Any, expect: dict[str, Any]) -> None:
    found = answer(document)
    shown: dict[str, Any] = {
        key: found[key] for key in ("cause", "class", "confidence") if key in expect
    }
    if "outlook" in expect:
        shown["outlook"] = found["outlook"]["verdict"]
    if "cascade" in expect:
        shown["cascade"] = [one["rank"] for one in found["cascade"]]
    if "decision" in expect:
        shown["decision"] = {key: found["decision"][key] for key in expect["decision"]}
    assert shown == expect


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_piece_of_evidence_stands_where_it_says(document: Any) -> None:
    for one in answer(document)["evidence"]:
        assert at(document, one["ref"]) is not None, one


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_answer_is_whole(document: Any) -> None:
    found = answer(document)
    assert found["text"]
    assert found["decision"]["rule"]
    assert found["decision"]["action"] in ACTIONS
    if found["decision"]["action"] == "stop":  # a stop charges nothing
        assert found["decision"]["ledger_before"] == found["decision"]["ledger_after"]
    json.dumps(found)


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(DOCUMENTS), st.data())
def test_any_key_may_be_absent(document: dict[str, Any], data: st.DataObject) -> None:
    def thinned(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: thinned(one) for key, one in value.items() if data.draw(st.booleans())}
        if isinstance(value, list) and value and isinstance(value[0], dict):
            return [thinned(one) for one in value]
        return value

    told: dict[str, Any] = answer(thinned(document))
    assert told["cause"] in set(Cause)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_yaml_and_json_say_the_same(document: Any, tmp_path: Path) -> None:
    as_json, as_yaml = tmp_path / "one.json", tmp_path / "one.yaml"
    as_json.write_text(json.dumps(document), "utf-8")
    as_yaml.write_text(yaml.safe_dump(document), "utf-8")
    assert judge(read_incident(str(as_json))).diagnosis == judge(
        read_incident(str(as_yaml))
    ).diagnosis  # fmt: skip


STRONG = [
    document
    for document in DOCUMENTS
    if answer(document)["confidence"] == "established" and "ended" in document
]


@pytest.mark.parametrize("document", STRONG)
def test_weaker_evidence_never_changes_what_is_established(document: Any) -> None:
    noise = {
        "log": [*document.get("log", ()), "ERROR: Connection refused", "loss is nan"],
        "disk": {**document.get("disk", {}), "inodes_free": 0},
    }
    assert answer({**document, **noise})["cause"] == answer(document)["cause"]


@pytest.mark.parametrize(
    "document, where, problem",
    [
        ({"ended": {"signl": 9}}, "ended.signl", "did you mean 'signal'"),
        ({"kernal": {}}, "kernal", "did you mean 'kernel'"),
        ({"samples": {"loss": [[1]]}}, "samples.loss[0]", "[seconds, value]"),
        ({"samples": {"loss": [[1, "high"]]}}, "samples.loss[0][1]", "must be a number"),
        ({"intent": {"kind": "kill"}}, "intent.kind", "there is no kind"),
        ({"history": [{"cause": "OOM"}]}, "history[0].cause", "there is no cause 'OOM'"),
        ({"request": {"memory": "many"}}, "request.memory", "is not a size"),
        ({"worker_samples": {"-1": {}}}, "worker_samples.-1", "is no rank"),
        ({"node": {}, "nodes": []}, "node", "say the same"),
        ({"ledgers": {"infra": [1]}}, "ledgers.infra", "[used, allowed]"),
        ([], "", "must be a mapping"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(document: Any, where: str, problem: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        answer(document)
    assert where in caught.value.where
    assert problem in caught.value.problem


def test_a_wrong_value_in_json_is_told_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "one.json"
    path.write_text('{\n  "ended": {"at": 1,\n    "signal": "nine"}\n}\n', "utf-8")
    with pytest.raises(InvalidInput, match=r"one\.json:3: signal must be a whole number"):
        read_incident(str(path))


def test_the_same_failure_has_the_same_fingerprint_whatever_varies_in_it() -> None:
    def mark(message: str, line: int) -> str:
        frame = {"file": f"/tmp/{line}/train.py", "line": line, "function": "load", "user": True}
        error = {"type": "OSError", "errno": 104, "message": message, "frames": [frame]}
        return str(answer({"ended": {"exit_code": 1}, "error": error})["fingerprint"])

    one = mark("reset by 10.0.0.1:5432 at 0x7f3a while reading /data/a/1.bin", 3)
    assert one == mark("reset by 10.0.0.7:9999 at 0x12ff while reading /tmp/b/7.bin", 31)
    assert one != mark("refused by 10.0.0.7:9999", 3)


ODD = [math.nan, math.inf, -math.inf, 0, -1, 1e300, -1e300, 10**30]


@settings(deadline=None, max_examples=200)
@given(st.sampled_from(DOCUMENTS), st.data())
def test_no_sample_is_too_odd_to_be_judged(document: Any, data: st.DataObject) -> None:
    def odd(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: odd(one) for key, one in value.items()}
        if isinstance(value, list) and len(value) == 2 and not isinstance(value[1], bool | list):
            return [value[0], data.draw(st.sampled_from([value[1], *ODD]))]
        return [odd(one) for one in value] if isinstance(value, list) else value

    samples = {key: odd(document[key]) for key in ("samples", "worker_samples") if key in document}
    told: dict[str, Any] = answer({**document, **samples})
    assert told["cause"] in set(Cause)


def test_every_cause_is_described() -> None:
    docs = Path(__file__).parents[2] / "docs"
    page = "".join((docs / name).read_text("utf-8") for name in ("failures.md", "diagnosis.md"))
    assert [cause for cause in Cause if f"`{cause}`" not in page] == []


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_are_judged(path: Path) -> None:
    found = judge(read_incident(str(path)))
    assert found.diagnosis.cause is not Cause.UNKNOWN
    assert remedy(found).action != "continue"
