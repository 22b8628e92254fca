"""Write scenarios wrongly in every way one can, and be told each time where and what."""

from __future__ import annotations

from pathlib import Path

import pytest

from makeway.cli.simulate import open_world
from makeway.errors import InvalidInput

HEAD = "cluster: {nodes: [{name: n, cpus: 4}]}\n"

# What the whole file is, and its error without the path.
FILES = {
    "": "1: the file is empty; a scenario has a cluster and jobs",
    "# nothing but words\n": "1: the file is empty",
    "- a": "1: a scenario must be a mapping, not a list",
    "jobs: []": "1: a scenario needs a cluster",
    "cluster: {nodes: [": "1: this is no YAML:",
    "cluster: {}\n---\ncluster: {}": "2: this is no YAML:",
    "cluster: &c [*c]": "1: an alias stands within what it names",
    "cluster: !secret x": "1: there is no tag '!secret' here",
    "cluster: \x01": "1: this is no YAML: the sign U+0001 may not stand there",
    "[" * 3000: "1: it is nested too deeply",
    "? [a]\n: b": "1: a key must be a text",
}
NODES = {
    "": "a cluster needs at least one node",
    "{cpus: 4}": "a node needs a name",
    "{name: n, cpus: -4}": "cpus: -4 must be 0, or from 0.001 to",
    "{name: n, cpus: four}": "cpus: 'four' is not a number",
    "{name: n, cpus: .nan}": "cpus: nan must be 0, or from 0.001 to",
    "{name: n, cpus: 1e300}": "cpus: 1e+300 must be 0, or from 0.001 to",
    "{name: n, memory: 4 apples}": "memory: '4 apples' is not a size such as 512MiB or 4GB",
    "{name: n, memory: 9999TB}": "memory: '9999TB' is more than there can be",
    "{name: n, gpus: [1]}": "gpus must be an amount, not a list",
    "{name: n, cpu: 4}": "there is no resource 'cpu'; did you mean 'cpus'?",
    "{name: n, cpu_milli: 4}": "there is no resource 'cpu_milli'; did you mean 'cpus'?",
    "{name: n, licences: 1.5}": "licences must be a whole number, not 1.5",
    "{name: n, count: 0}": "count must be at least 1, not 0",
    "{name: n, count: 100001}": "count must be at most 100000",
    "{name: n, labels: [r1]}": "labels must be a mapping, not a list",
    "{name: n}, {name: n}": "there are two nodes called 'n'",
    "{name: n1}, {name: n, count: 2}": "there are two nodes called 'n1'",
}
POLICY = {
    "{name: lifo}": "there is no policy 'lifo'; did you mean 'fifo'?",
    "{nme: fair}": "policy has no key 'nme'; did you mean 'name'?",
    "{priority_scope: world}": "there is no priority_scope 'world'; there are cluster, queue",
    "{preemption: {priority: on}}": "priority must be true or false, not 'on'",
    "{preemption: {grace: -5s}}": "grace: '-5s' is not a time such as 10s, 5m or 2h",
    "{backfill: {depth: -1}}": "depth must be at least 0, not -1",
    "{usage: {half_life: 0}}": "half_life must be more than 0",
    "{usage: {weight: .inf}}": "weight must be a number from 0 to 1e+09, not inf",
    "{classes: {urgent: 1.5}}": "urgent must be a whole number, not 1.5",
    "{classes: {urgent: {scope: queue}}}": "class urgent needs a value",
}
QUEUES = {
    "{weight: 2}": "a queue needs a name",
    "{name: a/b}": "'a/b': a name has no slash; queues stand in queues",
    "{name: q, weight: -1}": "weight must be a number from 0 to 1e+09, not -1",
    "{name: q, weight: .nan}": "weight must be a number from 0 to 1e+09, not nan",
    "{name: q, weight: 1e-30}": "weight must be 0, or at least 1e-06",
    "{name: q, borrow: no}": "borrow must be true or false, not 'no'",
    "{name: q, max_class: boss}": "there is no class 'boss'; there are low, medium, high, system",
    "{name: q, max_queued: -1}": "max_queued must be at least 0, not -1",
    "{name: q, class_limits: {boss: {running: 1}}}": "there is no class 'boss'",
    "{name: q}, {name: q}": "there are two queues called 'q'; the other is on line 2",
    "{name: q, guarantee: {cpus: 1}, queues: [{name: r, guarantee: {cpus: 2}}]}": (
        "the queues below q are guaranteed 2 cpus, which is more than its own 1"
    ),
}
JOBS = {
    "{queue: lab}": "a job needs a name",
    "{name: a, worker: 2}": "a job has no key 'worker'; did you mean 'workers'?",
    "{name: a}, {name: a}": "there are two jobs called 'a'; the other is on line 2",
    "{name: a, copies: 2}, {name: a2}": "there are two jobs called 'a2'",
    "{name: a, name: b}": "the key 'name' is there twice",
    "{name: a, copies: 0}": "copies must be at least 1, not 0",
    "{name: a, workers: -1}": "workers must be at least 1, not -1",
    "{name: a, workers: 2.5}": "workers must be a whole number, not 2.5",
    "{name: a, workers: {min: 3, max: 2}}": "min 3 is more than max 2",
    "{name: a, workers: {min: 3}}": "elastic workers need min and max",
    "{name: a, workers: 1000000}": "a job has at most 100000 workers",
    "{name: a, per_worker: {cpus: -1}}": "cpus: -1 must be 0, or from",
    "{name: a, at: -1s}": "at: '-1s' is not a time such as",
    "{name: a, runtime: soon}": "runtime: 'soon' is not a time such as",
    "{name: a, runtime: .nan}": "runtime: nan is not a time such as",
    "{name: a, runtime: 0}": "runtime must be more than 0",
    "{name: a, runtime: 99999999999999}": "is more than there can be",
    "{name: a, checkpoint_every: 0s}": "checkpoint_every must be more than 0",
    "{name: a, class: urgent}": "there is no class 'urgent'; there are low, medium, high, system",
    "{name: a, class: low, priority: 1}": "a job has a class or a priority, not both",
    "{name: a, priority: 1000}": "1000 and more are for the administrators' classes: use class",
    "{name: a, queue: a//b}": "'a//b' is no path of queues",
    '{name: "a\\nb"}': "name must be a text of at most 200 signs on one line",
    "{name: a, nodes: [m]}": "there is no node 'm'; there are n",
    "{name: a, after: [b]}": "there is no job 'b'; there are a",
    "{name: a, after: [{job: a, on: won}]}": "there is no on 'won'; there are succeeded, failed",
    "{name: a, after: a}": "after must be a list, not 'a'",
    "{name: a, after: [a]}": "jobs wait for each other in a circle: a -> a",
    "{name: a, after: [c]}, {name: b, after: [a]}, {name: c, after: [b]}": (
        "jobs wait for each other in a circle: a -> c -> b -> a"
    ),
    "{name: a, workers: 1, running: {on: [n, n]}}": "the job has 1 workers, and on names 2 nodes",
    "{name: a, workers: {min: 2, max: 3}, running: {on: [n]}}": "the job has 2 to 3 workers",
    "{name: a, running: {on: [n], since: 5s}}": "it cannot have begun after the beginning",
    "{name: a, per_worker: {cpus: 5}, running: {on: [n]}}": "a cannot run on n: it has no room",
    "{name: a, copies: 5, per_worker: {cpus: 1}, running: {on: [n]}}": "a5 cannot run on n",
    "{name: a}, {name: b, after: [a], running: {on: [n]}}": "a job that runs already waits for no",
    "{name: a, workers: 2, scaling: [1]}": "scaling needs a throughput for each of 1 to 2 workers",
    "{name: a, scaling: [0]}": "every throughput must be more than 0",
    "{name: a, workers: 2, groups: []}": "groups stand in place of workers",
    "{name: a, groups: []}": "a job needs at least one group",
    "{name: a, groups: [{name: g}, {name: g}]}": "there are two groups called 'g'",
    "{name: a, domain: {required: true}}": "domain needs a label",
}
EVENTS = {
    "{at: 1s}": "an event needs at and one of node_down, node_up, cancel, set_queue, worker_fails",
    "{cancel: a}": "an event needs at and one of",
    "{at: 1s, cancel: b}": "there is no job 'b'; there are a",
    "{at: 1s, node_down: m}": "there is no node 'm'; there are n",
    "{at: 1s, worker_fails: {rank: 0}}": "worker_fails needs a job",
    "{at: 1s, worker_fails: {job: a, rank: -1}}": "rank must be at least 0, not -1",
    "{at: 1s, set_queue: {weight: 2}}": "set_queue needs the name of a queue, its whole path",
    "{at: 1s, set_queue: {name: r, weight: 2}}": "there is no queue 'r'; there are",
    "{at: 1s, set_queue: {name: q, queues: []}}": "set_queue has no key 'queues'",
    "{at: 1s, set_queue: {name: q, guarantee: {cpus: 1}}}": (
        "the queues below q are guaranteed 2 cpus, which is more than its own 1"
    ),
}
EXPECT = {
    "{workers: {a: 1}}": "expect needs at",
    "{at: 1s, running: [a]}": "expect has no key 'running'; there are at, workers,",
    "{at: 1s, workers: {b: 1}}": "there is no job 'b'; there are a",
    "{at: 1s, queued: [b]}": "there is no job 'b'; there are a",
    "{at: 1s, shares: {q: lots}}": "shares must be a number, not 'lots'",
    "{at: 1s, shares: {x: 0.5}}": "there is no queue 'x'",
    "{at: 1s, phases: {a: gone}}": "there is no phase 'gone'; there are queued, running,",
    "{at: 1s, reasons: {a: Lazy}}": "there is no reason 'Lazy'",
}


def wrong(text: str, folder: Path) -> str:
    """Read a file, and give its error without the path."""
    path = folder / "wrong.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InvalidInput) as caught:
        open_world(str(path), None)
    told = str(caught.value)
    assert told.startswith(f"{path}:")
    return told.removeprefix(f"{path}:")


@pytest.mark.parametrize("text", FILES, ids=lambda text: FILES[text][:40])
def test_a_file(text: str, tmp_path: Path) -> None:
    assert wrong(text, tmp_path).startswith(FILES[text])


@pytest.mark.parametrize("text", NODES)
def test_nodes(text: str, tmp_path: Path) -> None:
    assert NODES[text] in wrong(f"cluster: {{nodes: [{text}]}}", tmp_path)


@pytest.mark.parametrize("part,text", [("policy", text) for text in POLICY])
def test_the_policy(part: str, text: str, tmp_path: Path) -> None:
    assert f"2: {POLICY[text]}" in wrong(f"{HEAD}{part}: {text}\n", tmp_path)


@pytest.mark.parametrize("text", QUEUES)
def test_queues(text: str, tmp_path: Path) -> None:
    assert f"2: {QUEUES[text]}" in wrong(f"{HEAD}queues: [{text}]\n", tmp_path)


@pytest.mark.parametrize("text", JOBS)
def test_jobs(text: str, tmp_path: Path) -> None:
    told = wrong(f"{HEAD}jobs: [{text}]\n", tmp_path)
    assert told.startswith("2: ")
    assert JOBS[text] in told


REST = (
    HEAD
    + "queues: [{name: q, guarantee: {cpus: 3}, queues: [{name: s, guarantee: {cpus: 2}}]}]\n"
    + "jobs: [{name: a, queue: q}]\n"
)


@pytest.mark.parametrize("text", EVENTS)
def test_events(text: str, tmp_path: Path) -> None:
    assert f"4: {EVENTS[text]}" in wrong(f"{REST}events: [{text}]\n", tmp_path)


@pytest.mark.parametrize("text", EXPECT)
def test_expectations(text: str, tmp_path: Path) -> None:
    assert f"4: {EXPECT[text]}" in wrong(f"{REST}expect: [{text}]\n", tmp_path)


def test_each_key_and_each_item_has_its_own_line(tmp_path: Path) -> None:
    text = HEAD + "jobs:\n  - name: a\n    workers: 2\n    nodes:\n      - n\n      - m\n"
    assert wrong(text, tmp_path) == "7: there is no node 'm'; there are n"
    assert wrong(text.replace("workers: 2", "workers: many"), tmp_path).startswith("4: workers")


def test_what_is_no_text_is_told_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_bytes(HEAD.encode() + b"# caf\xe9\n")
    with pytest.raises(InvalidInput, match=r"wrong\.yaml:2: this is no text in UTF-8"):
        open_world(str(path), None)
