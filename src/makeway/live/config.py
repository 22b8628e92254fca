"""Load the configuration, and remember where each value came from.

The nearest counts: an option of the command, a variable of the environment, `makeway.toml` in the
folder where the command runs (or the file that `--config` or MAKEWAY_CONFIG names in its place), the
user's own `~/.config/makeway/config.toml`, and what is so by default. `policy`, `queues` and `nodes`
come whole from the nearest file that has them: half a share tree from here and half from there
would be nobody's.

Takes:   options and variables by name, and the folders where files may be
Gives:   Config, all checked
Raises:  InvalidInput with file, line and key; NotFound for a file that was named and is not there
Holds:   nothing that is secret is in any text of it (`rows`)
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from makeway.errors import InvalidInput, NotFound, Unavailable
from makeway.intake.located import Item, item_of, option
from makeway.live.settings import (
    SETTINGS,
    CpuLimits,
    ExecutorKind,
    Folders,
    MemoryLimits,
    Secret,
    Setting,
)
from makeway.model.cluster import Node, Queue
from makeway.model.rules import LIVE, Rules
from makeway.model.ruling import FailureRules
from makeway.store.keep import Keep

SECTIONS = (
    *("service", "limits", "executor", "artifacts", "retention", "export"),
    *("nodes", "policy", "queues", "failures"),
)
# Sections of single values: see `settings`.
OF_VALUES = ("service", "limits", "executor", "artifacts", "retention", "export")
FILE = "makeway.toml"
USERS_FILE = Path("makeway") / "config.toml"
STORE = ".makeway"
DEFAULT, FLAG = "default", "flag"
PASSWORD = re.compile(r"(?<=://)([^:@/]*):.*@|(?<=[?&]password=)[^&]*")
MIB = 2**20


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """Where the service listens and keeps what it has; and, of a command, which service it asks.

    database         empty: SQLite in the store
    url              empty: the service that runs on the store, or none
    allowed_hosts    further names under which it may be asked; its own are always allowed
    allowed_origins  pages of others that may ask it
    """

    host: str = "127.0.0.1"
    port: int = 7070
    store: str = STORE
    database: str = ""
    url: str = ""
    token: Secret = Secret()
    token_file: str = ""
    allowed_hosts: tuple[str, ...] = ()
    allowed_origins: tuple[str, ...] = ()
    max_request_bytes: int = 16 * MIB


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How workers are held to what they asked for, and how often they are looked at."""

    memory: MemoryLimits = MemoryLimits.AUTO
    cpu: CpuLimits = CpuLimits.AUTO
    run_as_user: bool = True
    sample_interval_ms: int = 1000


class Execution(msgspec.Struct, frozen=True, kw_only=True):
    """What makes workers real, and how it is reached.

    host, port   where agents of other machines call; empty: the address by which Ray knows this
                 one; 0: any
    """

    kind: ExecutorKind = ExecutorKind.LOCAL
    ray_address: str = "auto"
    host: str = ""
    port: int = 0
    lease_ms: int = 15_000


class Artifacts(msgspec.Struct, frozen=True, kw_only=True):
    """Where artifacts are kept beside the folder of the store; empty: nowhere."""

    url: str = ""


class Export(msgspec.Struct, frozen=True, kw_only=True):
    """Who else is told what happens here; an empty URL: nobody.

    openlineage_url  where events of OpenLineage are posted to
    otlp_url         a collector of OpenTelemetry, over OTLP and HTTP
    namespace        of jobs and datasets there, and the name of the service
    """

    openlineage_url: str = ""
    openlineage_key: Secret = Secret()
    otlp_url: str = ""
    namespace: str = "makeway"


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """The whole configuration.

    nodes    empty: this machine as it is
    failures patterns and rules of failures, beside our own
    users    who may submit, by the path of each queue that names them (live.rights)
    origins  where each value came from, by its name: `flag`, `environment NAME`, `FILE:LINE`; what
             is not in it is so by default
    files    those that were read, the nearest first
    """

    service: Service = Service()
    limits: Limits = Limits()
    executor: Execution = Execution()
    artifacts: Artifacts = Artifacts()
    retention: Keep = Keep()
    export: Export = Export()
    nodes: tuple[Node, ...] = ()
    rules: Rules = LIVE
    failures: FailureRules = FailureRules()
    queues: tuple[Queue, ...] = ()
    users: dict[str, tuple[str, ...]] = {}
    origins: dict[str, str] = {}
    files: tuple[str, ...] = ()

    def origin(self, name: str) -> str:
        """Say where a value came from: its own place, or that of what it stands in."""
        while name:
            if name in self.origins:
                return self.origins[name]
            name = name.rpartition(".")[0]
        return DEFAULT

    def given(self, name: str) -> bool:
        """Say whether anybody has set this value, or any that stands in it."""
        inside = f"{name}."
        return self.origin(name) != DEFAULT or any(one.startswith(inside) for one in self.origins)

    @property
    def token(self) -> Secret:
        """Give the token with which to ask the service: itself, or what its file holds."""
        service = self.service
        if service.token or not service.token_file:
            return service.token
        path = Path(service.token_file)
        return Secret(text_of(path).strip())


def load(
    flags: Mapping[str, object],
    environ: Mapping[str, str],
    cwd: Path,
    home: Path,
    *,
    cluster: bool = True,
) -> Config:
    """Load it; `flags` are options by the names of what they set (`service.port`, or `config`).

    Who only asks a service needs nothing of the `cluster`: its policy, queues and nodes are then
    left at their defaults, unread, which saves the import of the policies.
    """
    paths = _paths(flags, environ, cwd, home)
    files = [(path, _fields(path)) for path in paths]
    values: dict[str, dict[str, object]] = {section: {} for section in OF_VALUES}
    origins: dict[str, str] = {}
    for setting in SETTINGS:
        given = _given(setting, flags, environ, files)
        if given is not None:
            item, base, origin = given
            read = setting.read(item, setting.key, Folders(base or cwd, home))
            values[setting.section][setting.attribute] = read
            origins[setting.name] = origin
    values["service"].setdefault("store", str(cwd / STORE))
    tables: dict[str, Any] = {
        "service": msgspec.structs.replace(Service(), **values["service"]),
        "limits": msgspec.structs.replace(Limits(), **values["limits"]),
        "artifacts": msgspec.structs.replace(Artifacts(), **values["artifacts"]),
        "executor": msgspec.structs.replace(Execution(), **values["executor"]),
        "retention": msgspec.structs.replace(Keep(), **values["retention"]),
        "export": msgspec.structs.replace(Export(), **values["export"]),
    }
    if cluster:
        tables |= _cluster(files, origins)
        tables["failures"] = _failures(files, origins)
    return Config(**tables, origins=origins, files=tuple(str(path) for path in paths))


# ── where values stand ────────────────────────────────────────────────────────────────────────────


def _paths(
    flags: Mapping[str, object], environ: Mapping[str, str], cwd: Path, home: Path
) -> list[Path]:
    """Give the files that there are, the nearest first."""
    named = str(flags.get("config") or environ.get("MAKEWAY_CONFIG") or "")
    near = cwd / (Path(home, named[2:]) if named.startswith("~/") else Path(named or FILE))
    if named and not near.exists():
        by = "--config" if flags.get("config") else "MAKEWAY_CONFIG"
        raise NotFound(f"there is no such file; {by} names it", where=str(near))
    folder = Path(environ.get("XDG_CONFIG_HOME") or "")
    users = (folder if folder.is_absolute() else home / ".config") / USERS_FILE
    return [path for path in dict.fromkeys((near, users)) if path.exists()]


def _fields(path: Path) -> dict[str, Item]:
    """Read the sections of a file, and refuse every key that there is not."""
    from makeway.intake.toml import read_toml  # only where there is a file

    fields = read_toml(text_of(path), str(path)).fields(SECTIONS, "the configuration")
    for section in OF_VALUES:
        known = [one for one in SETTINGS if one.section == section]
        table = fields[section].mapping(section) if section in fields else {}
        for setting in known:
            if not setting.in_files and setting.key in table:
                other = ", or put it into a file and name that in token_file"
                hint = f"say it in the environment, as {setting.variable}"
                hint += other if setting.key == "token" else ""
                problem = f"{setting.key} does not belong into the configuration"
                raise InvalidInput(problem, where=table[setting.key].where, hint=hint)
        if section in fields:
            fields[section].fields([one.key for one in known if one.in_files], section)
    return fields


def text_of(path: Path) -> str:
    """Read a file; what cannot be read is told with its path."""
    try:
        return path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise InvalidInput("this is no text in UTF-8", where=f"{path}:{line}") from None
    except FileNotFoundError:
        raise NotFound("there is no such file", where=str(path)) from None
    except OSError as error:
        raise Unavailable(f"it cannot be read: {error.strerror}", where=str(path)) from None


def _given(
    setting: Setting,
    flags: Mapping[str, object],
    environ: Mapping[str, str],
    files: Sequence[tuple[Path, Mapping[str, Item]]],
) -> tuple[Item, Path | None, str] | None:
    """Find the nearest place of a value: the item, the folder that it is from, its origin."""
    flag = flags.get(setting.name)
    if flag is not None and flag != ():
        return item_of(flag, f"--{setting.key.replace('_', '-')}"), None, FLAG
    if variable := environ.get(setting.variable):  # an empty one is as good as none
        return item_of(variable, setting.variable), None, f"environment {setting.variable}"
    for path, fields in files:
        section = option(fields, setting.section)
        item = None if section is None else section.mapping(setting.section).get(setting.key)
        if item is not None:
            return item, path.parent, item.where
    return None


def _cluster(
    files: Sequence[tuple[Path, Mapping[str, Item]]], origins: dict[str, str]
) -> dict[str, Any]:
    """Read policy, queues and nodes, each whole from the nearest file that has it."""
    fields: dict[str, Item] = {}
    for _, found in reversed(files):
        fields |= {key: found[key] for key in ("policy", "queues", "nodes") if key in found}
    if not fields:
        return {}
    from makeway.intake.setup import setup_of
    from makeway.policy.choose import POLICIES

    setup = setup_of(fields, tuple(POLICIES))
    for key in ("queues", "nodes"):
        if key in fields:
            origins[key] = fields[key].where
    if "policy" in fields:
        origins |= dict(_leaves(fields["policy"], "policy"))
    parts = {"rules": setup.rules, "queues": setup.queues, "nodes": setup.nodes}
    return {
        "users": setup.users,
        **{key: part for key, part in parts.items() if part is not None},
    }


def failures_in(paths: Sequence[str]) -> FailureRules:
    """Read the rules of failures alone, out of the files of a configuration, the nearest first."""
    return _failures([(Path(path), _fields(Path(path))) for path in paths], {})


def _failures(
    files: Sequence[tuple[Path, Mapping[str, Item]]], origins: dict[str, str]
) -> FailureRules:
    """Read patterns and rules, each whole from the nearest file that has it."""
    fields: dict[str, Item] = {}
    for _, found in reversed(files):
        section = option(found, "failures")
        if section is not None:
            fields |= section.fields(("patterns", "rules"), "failures")
    if not fields:
        return FailureRules()
    from makeway.intake.failures import failures_of

    for key, item in fields.items():
        origins[f"failures.{key}"] = item.where
    return failures_of(Item("", 0, fields))


def _leaves(item: Item, name: str) -> Iterator[tuple[str, str]]:
    if isinstance(item.value, dict) and item.value:
        for key, one in item.value.items():
            yield from _leaves(one, f"{name}.{key}")
    else:
        yield name, item.where


# ── every value with its origin ───────────────────────────────────────────────────────────────────


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One value as it can be shown: never a secret."""

    key: str
    value: object
    origin: str


def rows(config: Config) -> Iterator[Row]:
    """Give every value that there is, with where it came from."""
    from makeway.intake.setup import Setup
    from makeway.intake.written import failures_plain, leaves, plain_of, span

    for setting in SETTINGS:
        value = getattr(getattr(config, setting.section), setting.attribute)
        if setting.attribute.endswith("_ms"):
            value = span(value)
        shown = repr(value) if isinstance(value, Secret) else public(value)
        yield Row(key=setting.name, value=shown, origin=config.origin(setting.name))
    setup = Setup(rules=config.rules, queues=config.queues, users=config.users, nodes=config.nodes)
    plain = plain_of(setup)
    yield Row(key="nodes", value=plain["nodes"], origin=config.origin("nodes"))
    for key, value in leaves(plain["policy"], "policy"):
        yield Row(key=key, value=value, origin=config.origin(key))
    for key, value in failures_plain(config.failures).items():
        name = f"failures.{key}"
        yield Row(key=name, value=value, origin=config.origin(name))
    yield Row(key="queues", value=plain["queues"], origin=config.origin("queues"))


def public(value: object) -> object:
    """Hide the password of a URL."""
    return PASSWORD.sub(_hidden, value) if isinstance(value, str) else value


def _hidden(found: re.Match[str]) -> str:
    return "***" if found[1] is None else f"{found[1]}:***@"
