"""Read how a cluster is set up, and write it so that it is read as the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from makeway.cli.yamlfile import read_text
from makeway.errors import InvalidInput
from makeway.intake.located import item_of
from makeway.intake.setup import Setup, setup_of
from makeway.intake.toml import read_toml
from makeway.intake.written import plain_of
from makeway.model.cluster import Budget, ClassLimit, Node, Queue
from makeway.model.resources import Resources
from makeway.model.rules import LIVE, PastUsage, Preemption, Rules, Scope

NAMES = ("fair", "fifo")

YAML = """
policy: {name: fifo, preemption: {grace: 10s}, classes: {urgent: {value: 500, scope: queue}}}
queues:
  - name: lab
    guarantee: {cpus: 3}
    users: [ada, bob, ada]
    queues: [{name: ada, weight: 2, users: [ada]}, {name: rest, max_class: urgent}]
nodes:
  - {name: n, count: 2, cpus: 4, memory: 8GiB, labels: {rack: r1}}
"""
TOML = """
[policy]
name = "fifo"
preemption.grace = "10s"
[policy.classes]
urgent = { value = 500, scope = "queue" }
[[queues]]
name = "lab"
guarantee = { cpus = 3 }
users = ["ada", "bob"]
[[queues.queues]]
name = "ada"
weight = 2
users = ["ada"]
[[queues.queues]]
name = "rest"
max_class = "urgent"
[[nodes]]
name = "n"
count = 2
cpus = 4
memory = "8GiB"
labels = { rack = "r1" }
"""


def read(text: str) -> Setup:
    return setup_of(read_text(text, "f.yaml").mapping("it"), NAMES)


def test_yaml_and_toml_say_the_same() -> None:
    from_toml = setup_of(read_toml(TOML, "f.toml").mapping("it"), NAMES)
    assert from_toml == read(YAML)
    assert from_toml.rules is not None
    assert from_toml.rules.name == "fifo"
    assert from_toml.nodes is not None
    assert [node.name for node in from_toml.nodes] == ["n1", "n2"]


def test_what_a_policy_does_not_name_is_as_it_is_in_force() -> None:
    rules = read(YAML).rules
    assert rules is not None
    assert rules.preemption == Preemption(delay_ms=5_000, grace_ms=10_000, cooldown_ms=60_000)
    assert rules.classes == {**LIVE.classes, "urgent": 500}
    assert rules.class_scopes == {500: Scope.QUEUE}


def test_what_is_not_there_is_left_alone() -> None:
    assert read("queues: []") == Setup(queues=())
    assert read("policy:\nqueues:\n") == Setup()


def test_a_class_of_a_queue_may_be_one_that_the_same_file_makes() -> None:
    queues = read(YAML).queues
    assert queues is not None
    assert queues[-1].max_class == 500
    with pytest.raises(InvalidInput, match="there is no class 'urgent'"):
        read("queues: [{name: lab, max_class: urgent}]")


@pytest.mark.parametrize(
    "text, problem",
    [
        ("queues: [{name: lab, users: ada}]", "users must be a list, not 'ada'"),
        ("queues: [{name: lab, user: [ada]}]", "a queue has no key 'user'; did you mean 'users'?"),
        ("queues: [{name: lab, users: [[]]}]", "a user must be a text, not a list"),
        ("policy: {name: lifo}", "there is no policy 'lifo'"),
        (
            "queues: [{name: q, guarantee: {cpus: 1}, queues: [{name: r, guarantee: {cpus: 2}}]}]",
            "the queues below q are guaranteed 2 cpus",
        ),
        ("nodes: [{name: n}, {name: n}]", "there are two nodes called 'n'"),
    ],
)
def test_what_is_wrong_is_told(text: str, problem: str) -> None:
    with pytest.raises(InvalidInput) as told:
        read(text)
    assert told.value.where == "f.yaml:1"
    assert problem in told.value.problem


# ── what is written is read as the same ───────────────────────────────────────────────────────────

times = st.integers(min_value=0, max_value=10**9)
counts = st.none() | st.integers(min_value=0, max_value=10**6)
amounts = st.dictionaries(
    st.sampled_from(("cpu_milli", "memory_bytes", "gpu_milli", "licences")),
    st.integers(min_value=0, max_value=2**40),
)
texts = st.text("abc01 .:#-é", min_size=1, max_size=5)
names = st.dictionaries(
    st.sampled_from(("low", "medium", "high", "system", "urgent")),
    st.integers(min_value=-1000, max_value=2000),
).map(lambda more: {**LIVE.classes, **more})


HOUR_MS = 3_600_000


@st.composite
def setups(draw: st.DrawFn) -> Setup:
    classes = draw(names)
    values = st.sampled_from(sorted(classes.values()))
    rules = Rules(
        name=draw(st.sampled_from(NAMES)),
        priority_scope=draw(st.sampled_from(Scope)),
        classes=classes,
        class_scopes=draw(st.dictionaries(values, st.sampled_from(Scope))),
        preemption=Preemption(
            **{key: draw(st.booleans()) for key in ("priority", "reclaim")},
            delay_ms=draw(times),
            grace_ms=draw(times),
            min_run_ms=draw(times),
            cooldown_ms=draw(times),
        ),
        backfill_depth=draw(st.integers(min_value=0, max_value=1000)),
        usage=PastUsage(
            half_life_ms=draw(times) + 1,
            weight=draw(st.floats(min_value=0, max_value=100)),
            fair_tree=draw(st.booleans()),
            inverse=draw(st.booleans()),
            entry_ms=draw(times),
            charge_min_ms=draw(times),
        ),
        consolidate=draw(st.booleans()),
    )
    limits = st.builds(ClassLimit, running=counts, resources=st.none() | amounts)
    hours = amounts.map(lambda all_of: {kind: one * HOUR_MS for kind, one in all_of.items()})
    budget = st.builds(Budget, per_ms=times.map(lambda ms: ms + 1), jobs=counts, resources=hours)
    queue = st.builds(
        Queue,
        path=st.just(""),
        weight=st.just(0.0) | st.floats(min_value=1e-6, max_value=1000),
        limit=amounts,
        borrow=st.booleans(),
        max_class=st.none() | values,
        class_limits=st.dictionaries(values, limits, max_size=2),
        max_queued=counts,
        max_running=counts,
        submits_per_minute=counts,
        budget=st.none() | budget,
    )
    paths = ["lab", "lab/é x", "lab/é x/0", "lab/b", "club"]
    queues = tuple(replaced(draw(queue), path) for path in paths)
    users = draw(st.dictionaries(st.sampled_from(paths), st.lists(texts, unique=True).map(tuple)))
    nodes = st.builds(
        Node,
        name=texts.filter(str.strip),
        capacity=amounts.map(Resources.of),
        labels=st.dictionaries(texts, texts, max_size=2),
    )
    listed = draw(st.lists(nodes, unique_by=lambda node: node.name, max_size=3))
    return Setup(rules=rules, queues=queues, users=users, nodes=tuple(listed))


def replaced(queue: Queue, path: str) -> Queue:
    return Queue(**{key: getattr(queue, key) for key in Queue.__struct_fields__} | {"path": path})


@given(setups())
def test_what_is_written_is_read_as_the_same(setup: Setup) -> None:
    again = setup_of(item_of(plain_of(setup), "f").mapping("it"), NAMES)
    assert again == setup
