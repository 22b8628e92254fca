"""Read jobs from files and from the bodies of requests, and say of a wrong one where it is."""

from __future__ import annotations

import pytest

from makeway.cli.yamlfile import read_text
from makeway.errors import InvalidInput
from makeway.intake.jobs import hold_of, merged, spec_of
from makeway.intake.located import Item, item_of
from makeway.model.job import After, Domain, JobSpec, On, OnHopeless, Program, WorkerGroup
from makeway.model.resources import Resources
from makeway.model.rules import Rules
from makeway.model.workflow import Goal

HERE = JobSpec(
    name="", user="ada", queue="lab/ada", program=Program(directory="/home/ada", environment={})
)


def read(item: Item, defaults: JobSpec = HERE) -> JobSpec:
    return spec_of(item, Rules(), defaults)


def body(**keys: object) -> Item:
    """Give the body of a request that names a job and says what it runs."""
    return item_of({"name": "train", "command": ["true"], **keys}, "")


WHOLE = """
name: train
queue: lab/vision
class: high
workers: {min: 2, max: 4}
per_worker: {cpus: 1.5, memory: 4GB, gpus: 1, licences: 2}
command: [python, train.py, --lr, 0.10, ""]
directory: runs/7
environment: {SEED: 007, LR: 0.10, NAME: Ada}
after: [ingest, {job: check, on: ended}]
time_limit: 2h
expected: 90m
retries: 3
grace: 45s
barrier: 10s
idempotent: false
preemptible: false
checkpoint_every: 5m
startup: 20s
nodes: [n1, n2, n1]
domain: {label: rack, required: false}
max_memory: 8GB
goal: {metric: accuracy, mode: max, target: 0.9, min_delta: 0.01}
min_rate: 0.1
on_hopeless: stop
hold: true
"""


def test_a_file_may_say_everything_that_a_job_is_about() -> None:
    item = read_text(WHOLE, "job.yaml")
    assert hold_of(item)
    assert read(item) == JobSpec(
        name="train",
        user="ada",
        queue="lab/vision",
        priority=100,
        groups=(
            WorkerGroup(
                count_min=2,
                count_max=4,
                per_worker=Resources.of(
                    {"cpu_milli": 1500, "memory_bytes": 4 * 10**9, "gpu_milli": 1000, "licences": 2}
                ),
            ),
        ),
        program=Program(
            argv=("python", "train.py", "--lr", "0.10", ""),
            directory="/home/ada/runs/7",
            environment={"SEED": "007", "LR": "0.10", "NAME": "Ada"},
        ),
        after=(After(job="ingest"), After(job="check", on=On.ENDED)),
        time_limit_ms=7_200_000,
        expected_ms=5_400_000,
        retries=3,
        grace_ms=45_000,
        barrier_ms=10_000,
        idempotent=False,
        preemptible=False,
        checkpoint_every_ms=300_000,
        startup_ms=20_000,
        nodes=("n1", "n2"),
        domain=Domain(label="rack", required=False),
        max_memory_bytes=8 * 10**9,
        goal=Goal("accuracy", target=0.9, min_delta=0.01),
        min_rate=0.1,
        on_hopeless=OnHopeless.STOP,
    )


def test_who_says_little_gets_what_is_meant_by_default() -> None:
    item = item_of({"command": ["true"]}, "")
    spec = read(item, JobSpec(name="brave-otter", user="ada", queue="lab", grace_ms=5))
    assert spec == JobSpec(
        name="brave-otter", user="ada", queue="lab", grace_ms=5, program=Program(argv=("true",))
    )
    assert not hold_of(item)


def test_one_text_is_a_command_for_the_shell() -> None:
    spec = read(body(command="cd data && ls |\n  wc -l"))
    assert spec.program.argv == ("sh", "-c", "cd data && ls |\n  wc -l")


def test_nothing_at_a_key_is_the_same_as_no_key() -> None:
    absent = dict.fromkeys(("queue", "class", "workers", "time_limit", "after", "nodes", "hold"))
    assert read(body(**absent)) == read(body())


def test_variables_are_laid_over_those_of_the_defaults() -> None:
    defaults = JobSpec(
        name="a", user="ada", queue="lab", program=Program(environment={"A": "1", "B": "1"})
    )
    assert read(body(environment={"B": "2"}), defaults).program.environment == {"A": "1", "B": "2"}


WRONG: list[tuple[dict[str, object], str]] = [
    ({"worker": 2}, "worker: a job has no key 'worker'; did you mean 'workers'?"),
    ({"copies": 2}, "copies: a job has no key 'copies'"),
    ({"name": ""}, "name: name must be a text, not ''"),
    ({"name": ["a"]}, "name: name must be a text, not a list"),
    ({"queue": "lab//ada"}, "queue: 'lab//ada' is no path of queues"),
    ({"class": "boss"}, "class: there is no class 'boss'; there are low, medium, high, system"),
    ({"class": "low", "priority": 5}, "priority: a job has a class or a priority, not both"),
    ({"priority": 1000}, "priority: 1000 and more are for the administrators' classes: use class"),
    ({"workers": 0}, "workers: workers must be at least 1, not 0"),
    ({"workers": -3}, "workers: workers must be at least 1, not -3"),
    ({"workers": True}, "workers: workers must be a whole number, not True"),
    ({"workers": 100_001}, "workers: a job has at most 100000 workers"),
    ({"workers": {"min": 3, "max": 2}}, "workers: min 3 is more than max 2"),
    ({"workers": {"min": 3}}, "workers: elastic workers need min and max"),
    ({"per_worker": {"memory": "4 apples"}}, "per_worker.memory: memory: '4 apples' is not a size"),
    (
        {"per_worker": {"cpu": 1}},
        "per_worker.cpu: there is no resource 'cpu'; did you mean 'cpus'?",
    ),
    ({"per_worker": {"gpus": -1}}, "per_worker.gpus: gpus: -1 must be 0, or from 0.001 to"),
    ({"groups": []}, "groups: a job needs at least one group"),
    ({"groups": [{"name": "ps"}, {"name": "ps"}]}, "groups[1]: there are two groups called 'ps'"),
    ({"groups": [{"name": "ps"}], "workers": 2}, "workers: groups stand in place of workers"),
    (
        {"groups": [{"name": "ps", "per_worker": {"cpus": "x"}}]},
        "groups[0].per_worker.cpus: cpus: 'x' is not a number",
    ),
    ({"command": []}, "command: the command is empty"),
    ({"command": ["", "a"]}, "command: the command is empty"),
    ({"command": "  \n"}, "command: the command is empty"),
    ({"command": {"sh": "ls"}}, "command: command must be a text, not a mapping"),
    ({"command": ["ls", None]}, "command[1]: command must be a text, not nothing"),
    ({"command": ["ls", "a\0b"]}, "command[1]: command must be a text of at most 131071 bytes"),
    ({"command": ["ls", "\ud800"]}, "command[1]: command is no text in UTF-8"),
    ({"command": ["x" * 131_072]}, "command[0]: command must be a text of at most 131071 bytes"),
    ({"command": ["x" * 130_000] * 9}, "command and environment have more than 1048576 bytes"),
    ({"directory": "/a\0"}, "directory: directory must be a text of at most 4095 bytes"),
    ({"environment": ["A=1"]}, "environment: environment must be a mapping, not a list"),
    ({"environment": {"A=B": "1"}}, "environment.A=B: 'A=B' cannot be the name of a variable"),
    ({"environment": {"": "1"}}, "environment.: '' cannot be the name of a variable"),
    ({"environment": {"DEBUG": True}}, "environment.DEBUG: DEBUG must be a text, not True"),
    ({"after": "ingest"}, "after: after must be a list, not 'ingest'"),
    ({"after": [{"on": "ended"}]}, "after[0]: after needs a job"),
    ({"after": [{"job": "a", "on": "end"}]}, "after[0].on: there is no on 'end'; did you mean"),
    ({"time_limit": "2 weeks"}, "time_limit: time_limit: '2 weeks' is not a time such as"),
    ({"time_limit": 0}, "time_limit: time_limit must be more than 0"),
    ({"retries": -1}, "retries: retries must be at least 0, not -1"),
    (
        {"max_memory": "1MB", "per_worker": {"memory": "2MB"}},
        "max_memory: max_memory: it is less than",
    ),
    ({"max_memory": 0}, "max_memory: max_memory: it must be some"),
    ({"goal": {"target": 0.9}}, "goal: a goal needs a metric"),
    ({"goal": {"metric": "accuracy", "mode": "up"}}, "goal.mode: there is no mode 'up'"),
    ({"min_rate": -1}, "min_rate: min_rate must be"),
    ({"on_hopeless": "cry"}, "on_hopeless: there is no on_hopeless 'cry'"),
    ({"retries": 2**60}, "retries: retries must be at most"),
    ({"grace": "-5s"}, "grace: grace: '-5s' is not a time"),
    ({"barrier": 0}, "barrier: barrier must be more than 0"),
    ({"nodes": [3.5, []]}, "nodes[1]: node must be a text, not a list"),
    ({"domain": {"required": True}}, "domain: domain needs a label"),
    ({"hold": "yes"}, "hold: hold must be true or false, not 'yes'"),
    ({"idempotent": 1}, "idempotent: idempotent must be true or false, not 1"),
]


@pytest.mark.parametrize("keys, problem", WRONG, ids=lambda value: str(value)[:40])
def test_the_body_of_a_request_is_told_the_path_to_what_is_wrong(
    keys: dict[str, object], problem: str
) -> None:
    with pytest.raises(InvalidInput) as told:
        read(body(**keys))
    assert str(told.value).startswith(problem)


def test_a_file_is_told_the_line() -> None:
    with pytest.raises(InvalidInput) as told:
        read(read_text("name: a\ncommand: [ls]\nper_worker:\n  memory: lots\n", "job.yaml"))
    assert told.value.where == "job.yaml:4"


@pytest.mark.parametrize("value", [None, [], "train", 7], ids=str)
def test_what_is_no_mapping_is_no_job(value: object) -> None:
    with pytest.raises(InvalidInput, match="a job must be a mapping"):
        read(item_of(value, ""))


def test_a_name_and_a_command_are_needed_if_there_is_no_default() -> None:
    with pytest.raises(InvalidInput, match="a job needs a name"):
        read(item_of({"command": ["ls"]}, ""))
    with pytest.raises(InvalidInput, match="a job needs a command"):
        read(item_of({"name": "a"}, ""))


def test_a_relative_directory_needs_one_to_be_within() -> None:
    nowhere = JobSpec(name="a", user="ada", queue="lab")
    with pytest.raises(InvalidInput, match="directory must be an absolute path, not 'runs'"):
        read(body(directory="runs"), nowhere)
    assert read(body(directory="/runs"), nowhere).program.directory == "/runs"


# ── a file and options of the command ─────────────────────────────────────────────────────────────


def laid_over(text: str, **options: object) -> JobSpec:
    file = read_text(text, "job.yaml")
    return read(merged(file, item_of(options, "the command line")))


def test_options_are_laid_over_a_file() -> None:
    spec = laid_over(
        "{name: a, command: [ls], priority: 5, workers: {min: 1, max: 4}, per_worker: {cpus: 2}}",
        name="b",
        workers={"max": 8},
        per_worker={"memory": "1GB"},
        **{"class": "high"},
    )
    (group,) = spec.groups
    assert (spec.name, spec.priority, group.count_min, group.count_max) == ("b", 100, 1, 8)
    assert group.per_worker == Resources.of({"cpu_milli": 2000, "memory_bytes": 10**9})


def test_a_number_of_workers_takes_the_place_of_bounds() -> None:
    (group,) = laid_over("{name: a, command: [ls], workers: {min: 1, max: 4}}", workers=3).groups
    assert (group.count_min, group.count_max) == (3, 3)


def test_options_do_not_quietly_drop_the_groups_of_a_file() -> None:
    with pytest.raises(InvalidInput, match="the command line: workers: groups stand in place"):
        laid_over("{name: a, command: [ls], groups: [{name: ps}]}", workers=3)


def test_options_alone_are_a_job_too() -> None:
    assert laid_over("", name="a", command=["ls"]).program.argv == ("ls",)
