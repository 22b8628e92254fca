"""Load the configuration from all the places where it may stand; the nearest counts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest

from makeway.errors import InvalidInput, NotFound, Unavailable
from makeway.live.config import (
    Artifacts,
    Config,
    Execution,
    Export,
    Limits,
    Service,
    load,
    rows,
)
from makeway.live.service import settings_of
from makeway.live.settings import SETTINGS, CpuLimits, MemoryLimits
from makeway.model.cluster import Queue
from makeway.model.rules import LIVE
from makeway.store.keep import Keep

NOTHING: Mapping[str, str] = {}


class Places:
    """A folder to work in and a home, each with a file or without."""

    def __init__(self, folder: Path) -> None:
        self.cwd, self.home = folder / "work", folder / "home"
        self.own = self.home / ".config" / "makeway" / "config.toml"
        self.here = self.cwd / "makeway.toml"
        for one in (self.cwd, self.own.parent):
            one.mkdir(parents=True)

    def load(
        self, flags: Mapping[str, object] | None = None, environ: Mapping[str, str] = NOTHING
    ) -> Config:
        return load(flags or {}, environ, self.cwd, self.home)


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(tmp_path)


def shown(config: Config) -> dict[str, tuple[object, str]]:
    return {row.key: (row.value, row.origin) for row in rows(config)}


# ── where values come from ────────────────────────────────────────────────────────────────────────


def test_without_a_file_all_is_as_it_is_by_default(places: Places) -> None:
    config = places.load()
    assert config == Config(service=Service(store=str(places.cwd / ".makeway")))
    assert config.rules == LIVE
    assert {row.origin for row in rows(config)} == {"default"}


def test_the_nearest_place_counts(places: Places) -> None:
    seen = [places.load()]
    places.own.write_text("[service]\nport = 1\n")
    seen.append(places.load())
    places.here.write_text("[limits]\n\n[service]\nport = 2\n")
    seen.append(places.load())
    seen.append(places.load({}, {"MAKEWAY_PORT": "3"}))
    seen.append(places.load({"service.port": 4}, {"MAKEWAY_PORT": "3"}))
    assert [(one.service.port, one.origin("service.port")) for one in seen] == [
        (7070, "default"),
        (1, f"{places.own}:2"),
        (2, f"{places.here}:4"),
        (3, "environment MAKEWAY_PORT"),
        (4, "flag"),
    ]


def test_files_are_laid_over_each_other_value_by_value(places: Places) -> None:
    places.own.write_text('[service]\nport = 1\nhost = "own"\n')
    places.here.write_text("[service]\nport = 2\n")
    config = places.load()
    assert (config.service.host, config.service.port) == ("own", 2)
    assert config.files == (str(places.here), str(places.own))


def test_a_file_that_is_named_takes_the_place_of_the_one_that_is_here(places: Places) -> None:
    places.here.write_text("[service]\nport = 2\n")
    other = places.cwd / "other.toml"
    other.write_text("[service]\nhost = 'h'\n")
    for config in (
        places.load({"config": "other.toml"}),
        places.load({}, {"MAKEWAY_CONFIG": str(other)}),
        places.load({"config": "other.toml"}, {"MAKEWAY_CONFIG": "/nowhere"}),
    ):
        assert (config.service.host, config.service.port) == ("h", 7070)


@pytest.mark.parametrize(
    "flags, environ, by",
    [({"config": "x.toml"}, {}, "--config"), ({}, {"MAKEWAY_CONFIG": "x.toml"}, "MAKEWAY_CONFIG")],
)
def test_a_file_that_is_named_must_be_there(
    places: Places, flags: dict[str, object], environ: dict[str, str], by: str
) -> None:
    with pytest.raises(NotFound, match=f"x.toml: there is no such file; {by} names it"):
        places.load(flags, environ)


def test_an_empty_variable_and_an_option_that_was_not_given_say_nothing(places: Places) -> None:
    config = places.load({"service.port": None, "config": None}, {"MAKEWAY_HOST": ""})
    assert config.service == places.load().service


def test_the_folder_of_the_users_file_may_be_another(places: Places) -> None:
    folder = places.home / "xdg"
    (folder / "makeway").mkdir(parents=True)
    (folder / "makeway" / "config.toml").write_text("[service]\nport = 5\n")
    assert places.load({}, {"XDG_CONFIG_HOME": str(folder)}).service.port == 5
    assert places.load({}, {"XDG_CONFIG_HOME": "xdg"}).service.port == 7070


def test_a_relative_path_is_from_the_file_that_names_it(places: Places) -> None:
    places.own.write_text('[service]\nstore = "runs"\ntoken_file = "~/token"\n')
    service = places.load().service
    assert service.store == str(places.own.parent / "runs")
    assert service.token_file == str(places.home / "token")
    assert places.load({"service.store": "runs"}).service.store == str(places.cwd / "runs")
    assert places.load({}, {"MAKEWAY_STORE": "/runs"}).service.store == "/runs"


# ── what can be said ──────────────────────────────────────────────────────────────────────────────

WHOLE = """
[service]
host = "0.0.0.0"
port = 0
store = "/var/lib/makeway"
database = "postgresql://makeway:s3cret@db.lab/makeway"
url = "https://makeway.lab/"
token_file = "/etc/makeway/token"
allowed_hosts = ["makeway.lab", "10.0.0.1:7070"]
allowed_origins = ["https://pages.lab"]
max_request_bytes = "1MiB"

[limits]
memory = "guard"
cpu = "off"
run_as_user = false
sample_interval = "250ms"

[policy]
name = "fifo"
preemption = { grace = "1m" }

[[queues]]
name = "lab"
users = ["ada"]

[[nodes]]
name = "n"
count = 2
cpus = 4
"""


def test_a_file_may_say_everything(places: Places) -> None:
    places.here.write_text(WHOLE)
    config = places.load()
    assert config.service == Service(
        host="0.0.0.0",
        port=0,
        store="/var/lib/makeway",
        database="postgresql://makeway:s3cret@db.lab/makeway",
        url="https://makeway.lab",
        token_file="/etc/makeway/token",
        allowed_hosts=("makeway.lab", "10.0.0.1:7070"),
        allowed_origins=("https://pages.lab",),
        max_request_bytes=2**20,
    )
    assert config.limits == Limits(
        memory=MemoryLimits.GUARD, cpu=CpuLimits.OFF, run_as_user=False, sample_interval_ms=250
    )
    assert config.rules.name == "fifo"
    assert config.rules.preemption == msgspec.structs.replace(LIVE.preemption, grace_ms=60_000)
    assert config.queues == (Queue(path="lab"),)
    assert config.users == {"lab": ("ada",)}
    assert [node.name for node in config.nodes] == ["n1", "n2"]


def test_every_single_value_can_come_from_the_environment(places: Places) -> None:
    texts = {
        "service.host": "::1", "service.port": "8080", "service.store": "/s",
        "service.database": "postgresql://db/makeway", "service.url": "http://h:1",
        "service.token": "abc", "service.token_file": "/t", "service.allowed_hosts": "a, b",
        "service.allowed_origins": "http://a,http://b:1", "service.max_request_bytes": "100",
        "limits.memory": "cgroup2", "limits.cpu": "pin", "limits.run_as_user": "false",
        "limits.sample_interval": "2", "retention.samples": "0", "retention.points": "50",
        "retention.keys": "1d", "artifacts.url": "s3://bucket/a", "executor.kind": "ray",
        "executor.ray_address": "h:6379", "executor.host": "10.0.0.1", "executor.port": "7071",
        "executor.lease": "1m",
        "export.openlineage_url": "http://m/api", "export.openlineage_key": "k",
        "export.otlp_url": "http://c:4318", "export.namespace": "lab",
    }  # fmt: skip
    assert {setting.name for setting in SETTINGS} == texts.keys()
    environ = {setting.variable: texts[setting.name] for setting in SETTINGS}
    assert len(environ) == len(texts)
    config, plain = places.load({}, environ), places.load()
    for setting in SETTINGS:
        values = [
            getattr(getattr(one, setting.section), setting.attribute) for one in (config, plain)
        ]
        assert values[0] != values[1], setting.name
        assert config.origin(setting.name) == f"environment {setting.variable}"


def test_every_field_can_be_set() -> None:
    fields = {f"service.{name}" for name in Service.__struct_fields__}
    fields |= {f"limits.{name}" for name in Limits.__struct_fields__}
    fields |= {f"executor.{name}" for name in Execution.__struct_fields__}
    fields |= {f"artifacts.{name}" for name in Artifacts.__struct_fields__}
    fields |= {f"retention.{name}" for name in Keep.__struct_fields__}
    fields |= {f"export.{name}" for name in Export.__struct_fields__}
    assert fields == {f"{setting.section}.{setting.attribute}" for setting in SETTINGS}


def test_the_parts_of_a_cluster_come_whole_from_the_nearest_file(places: Places) -> None:
    places.own.write_text(
        '[policy]\nname = "las"\nbackfill.depth = 3\n[[queues]]\nname = "club"\n[[nodes]]\nname="m"\n'
    )
    places.here.write_text('[policy]\nname = "fifo"\n[[queues]]\nname = "lab"\n')
    config = places.load()
    assert (config.rules.name, config.rules.backfill_depth) == ("fifo", LIVE.backfill_depth)
    assert [queue.path for queue in config.queues] == ["lab"]
    assert [node.name for node in config.nodes] == ["m"]
    assert config.origin("policy.name") == f"{places.here}:2"
    assert config.origin("policy.backfill.depth") == "default"
    assert config.origin("queues") == f"{places.here}:3"
    assert config.origin("nodes") == f"{places.own}:6"


# ── what is wrong ─────────────────────────────────────────────────────────────────────────────────

WRONG = {
    "[retention]\npoints = 3": "2: points must be 4 to 100000, not 3",
    '[retention]\nsamples = "-1d"': "2: samples",
    "[retention]\nevents = 1": "2: retention has no key 'events'",
    "[export]\notlp_url = 'collector'": "2: otlp_url must be empty or like http://host:7070",
    "[export]\nnamespace = 'a lab'": "2: namespace must be a name of letters, digits and",
    "[export]\nopenlineage_key = 'k'": "2: openlineage_key does not belong into the configuration",
    "[servce]": "1: the configuration has no key 'servce'; did you mean 'service'?",
    "port = 7070": "1: the configuration has no key 'port'",
    "service = 7": "1: service must be a mapping, not 7",
    "[service]\n\nprot = 7070": "3: service has no key 'prot'; did you mean 'port'?",
    "[service]\nport = 65536": "2: port must be at most 65535, not 65536",
    "[service]\nport = -1": "2: port must be at least 0, not -1",
    "[service]\nport = '7070'": "2: port must be a whole number, not '7070'",
    "[service]\nport = true": "2: port must be a whole number, not True",
    "[service]\nhost = ''": "2: host must be a text, not ''",
    "[service]\nhost = 'http://a'": "2: host must be a name or an address, not 'http://a'",
    "[service]\nstore = ''": "2: store must be the path of a folder",
    "[service]\ndatabase = 'mysql://a:b@c/d'": "2: database must be empty (SQLite in the store) or",
    "[service]\nurl = 'localhost:7070'": "2: url must be empty or like http://host:7070",
    "[service]\nallowed_hosts = 'a'": "2: allowed_hosts must be a list, not 'a'",
    "[service]\nallowed_hosts = ['http://a']": "2: allowed_hosts: 'http://a' must be a name or",
    "[service]\nallowed_origins = ['a.lab']": "2: allowed_origins: 'a.lab' must be like https://",
    "[service]\nmax_request_bytes = 0": "2: max_request_bytes must be more than 0",
    "[service]\nmax_request_bytes = '1 apple'": "2: max_request_bytes: '1 apple' is not a size",
    "[limits]\nmemory = 'cgroup'": "2: there is no limit of memory 'cgroup'; did you mean",
    "[limits]\nrun_as_user = 'yes'": "2: run_as_user must be true or false, not 'yes'",
    "[limits]\nsample_interval = 0": "2: sample_interval must be more than 0",
    "[limits]\nsample_interval = 1979-05-27": "2: sample_interval: datetime.date(1979, 5, 27) is",
    "[policy]\nname = 'lifo'": "2: there is no policy 'lifo'; did you mean 'fifo'?",
    "[policy]\n\npreemption = { grase = 1 }": "3: preemption has no key 'grase'; did you mean",
    "[[queues]]\nname = 'a'\n[[queues]]\nname = 'a'": "3: there are two queues called 'a'; the",
    "[[queues]]\nusers = []": "1: a queue needs a name",
    "[[nodes]]\ncpus = 1": "1: a node needs a name",
    "[service": "1: this is no TOML:",
    "a = 1\na = 2": "2: this is no TOML:",
}


@pytest.mark.parametrize("text", WRONG)
def test_what_is_wrong_is_told_with_file_and_line(places: Places, text: str) -> None:
    places.here.write_text(text)
    with pytest.raises(InvalidInput) as told:
        places.load()
    assert str(told.value).startswith(f"{places.here}:{WRONG[text]}")


@pytest.mark.parametrize(
    "environ, problem",
    [
        ({"MAKEWAY_PORT": "http"}, "MAKEWAY_PORT: port must be a whole number, not 'http'"),
        ({"MAKEWAY_PORT": "9" * 5000}, "MAKEWAY_PORT: port must be a whole number"),
        ({"MAKEWAY_LIMITS_RUN_AS_USER": "1"}, "MAKEWAY_LIMITS_RUN_AS_USER: run_as_user must be"),
        ({"MAKEWAY_URL": "me@host"}, "MAKEWAY_URL: url must be empty or like"),
        ({"MAKEWAY_EXECUTOR": "slurm"}, "MAKEWAY_EXECUTOR: "),
        (
            {"MAKEWAY_EXECUTOR_RAY_ADDRESS": "head"},
            "MAKEWAY_EXECUTOR_RAY_ADDRESS: ray_address must",
        ),
        ({"MAKEWAY_EXECUTOR_LEASE": "1s"}, "MAKEWAY_EXECUTOR_LEASE: lease must be 3s to 1d"),
        ({"MAKEWAY_ARTIFACTS_URL": "bucket"}, "MAKEWAY_ARTIFACTS_URL: url must be empty or a URL"),
    ],
)
def test_a_wrong_variable_is_told_by_its_name(
    places: Places, environ: dict[str, str], problem: str
) -> None:
    with pytest.raises(InvalidInput) as told:
        places.load({}, environ)
    assert str(told.value).startswith(problem)


def test_machines_are_not_listed_where_ray_says_which_there_are(places: Places) -> None:
    places.here.write_text('[executor]\nkind = "ray"\n[[nodes]]\nname = "mine"\n')
    with pytest.raises(InvalidInput, match="nodes are for the executor local"):
        settings_of(places.load())
    places.here.write_text('[executor]\nkind = "ray"\n')
    assert settings_of(places.load()).nodes is None


def test_a_wrong_option_is_told_by_its_name(places: Places) -> None:
    with pytest.raises(InvalidInput, match="--sample-interval: sample_interval must be more"):
        places.load({"limits.sample_interval": "0s"})


def test_a_file_that_cannot_be_read_is_told(places: Places) -> None:
    places.here.write_bytes(b"# ok\n\xff")
    with pytest.raises(InvalidInput, match=r"makeway\.toml:2: this is no text in UTF-8"):
        places.load()
    places.here.unlink()
    places.here.mkdir()
    with pytest.raises(Unavailable, match="it cannot be read: Is a directory"):
        places.load()


# ── what is secret ────────────────────────────────────────────────────────────────────────────────


def test_a_token_comes_from_the_environment_or_a_file_of_its_own(places: Places) -> None:
    assert not places.load().token
    (places.home / "token").write_text("from-file\n")
    places.own.write_text('[service]\ntoken_file = "~/token"\n')
    assert places.load().token.text == "from-file"
    assert places.load({}, {"MAKEWAY_TOKEN": "direct"}).token.text == "direct"
    (places.home / "token").unlink()
    with pytest.raises(NotFound, match="token: there is no such file"):
        _ = places.load().token


def test_a_token_does_not_stand_in_a_file_that_others_read(places: Places) -> None:
    places.here.write_text('[service]\ntoken = "s3cret"\n')
    with pytest.raises(InvalidInput) as told:
        places.load()
    assert told.value.where == f"{places.here}:2"
    assert "token_file" in told.value.hint
    assert "s3cret" not in f"{told.value} {told.value.hint}"


def test_no_secret_is_ever_shown(places: Places) -> None:
    places.here.write_text(
        '[service]\ndatabase = "postgresql://ada:s3cret@h/d?password=s3cret&x=1"\n'
    )
    config = places.load({}, {"MAKEWAY_TOKEN": "s3cret"})
    found = shown(config)
    assert "s3cret" not in repr(found)
    assert found["service.token"] == ("set", "environment MAKEWAY_TOKEN")
    assert found["service.database"][0] == "postgresql://ada:***@h/d?password=***&x=1"
    assert repr(config.service.token) == "set"


@pytest.mark.parametrize("token", ["a b", "a\nb", "ä"])
def test_a_token_that_cannot_be_sent_is_refused_unseen(places: Places, token: str) -> None:
    with pytest.raises(InvalidInput) as told:
        places.load({}, {"MAKEWAY_TOKEN": token})
    assert token not in str(told.value)


def test_a_policy_is_given_as_soon_as_any_key_of_it_is(places: Places) -> None:
    assert not places.load().given("policy")
    places.here.write_text('[policy]\nname = "fifo"\n')
    config = places.load()
    assert config.given("policy")
    assert not config.given("queues")
    assert settings_of(config).rules == config.rules
    places.here.write_text("[policy]\n")
    assert places.load().given("policy")
