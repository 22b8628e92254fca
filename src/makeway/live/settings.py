"""Name every single value of the configuration, and read it from wherever it stands.

A value in a file has its TOML type; a variable of the environment and an option of a command are
texts, and are read by the same rules. A relative path is from the folder of the file that names it,
or from where the command runs; `~` is the user's home.

Takes:   an `Item`, and the folders that a path may be from
Gives:   the value
Raises:  InvalidInput, with the place; never with a secret in it
"""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path

import msgspec
from msgspec.structs import replace

from makeway.intake.located import Item
from makeway.model.units import BadAmount, bytes_of
from makeway.store.keep import POINTS_MAX, POINTS_MIN

PORT_MAX = 65_535
PATH_MAX_BYTES = 4_095
# A fixed number of sign positions, so that no text makes Python's own conversion fail.
WHOLE = re.compile(r"[0-9]{1,18}")
URL = re.compile(r"https?://[^\s/@]+(/\S*)?")
ORIGIN = re.compile(r"https?://[^\s/@]+")
DATABASE = re.compile(r"postgresql://\S+")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,99}")
HOST = re.compile(r"[^\s/@]+")
DEPOT = re.compile(r"[a-z][a-z0-9+]*://\S+")
RAY = re.compile(r"auto|[^\s/@]+:[0-9]+")
LEASE_MIN_MS, LEASE_MAX_MS = 3_000, 86_400_000


class Secret(msgspec.Struct, frozen=True):
    """A text that is never printed."""

    text: str = ""

    def __repr__(self) -> str:
        return "set" if self.text else "not set"

    def __bool__(self) -> bool:
        return bool(self.text)


class MemoryLimits(StrEnum):
    """How a worker is held to the memory that it asked for; `auto` takes the first that works."""

    AUTO = "auto"
    CGROUP2 = "cgroup2"
    CGROUP1 = "cgroup1"
    GUARD = "guard"
    OFF = "off"


class CpuLimits(StrEnum):
    """How a worker is held to the processors that it asked for; `auto` takes the first that works."""

    AUTO = "auto"
    PIN = "pin"
    WEIGHT = "weight"
    OFF = "off"


class ExecutorKind(StrEnum):
    """What makes workers real: this machine, or the nodes of a Ray cluster."""

    LOCAL = "local"
    RAY = "ray"


class Folders(msgspec.Struct, frozen=True):
    """Where a relative path begins, and what `~` is."""

    base: Path
    home: Path


Reader = Callable[[Item, str, Folders], object]


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """One value: its place `section.key`, the variable that may name it, and how it is read."""

    section: str
    key: str
    read: Reader
    variable: str = ""
    field: str = ""
    in_files: bool = True

    @property
    def name(self) -> str:
        """Give the name that stands in the docs: `service.port`."""
        return f"{self.section}.{self.key}"

    @property
    def attribute(self) -> str:
        """Give the name of its field; a time has its unit there."""
        return self.field or self.key


# ── readers ───────────────────────────────────────────────────────────────────────────────────────


def _host(item: Item, key: str, _: Folders) -> str:
    text = item.text(key)
    if not HOST.fullmatch(text):
        raise item.wrong(f"{key} must be a name or an address, not {text!r}")
    return text


def _port(item: Item, key: str, _: Folders) -> int:
    port = _typed(item).whole(key)
    if port > PORT_MAX:
        raise item.wrong(f"{key} must be at most {PORT_MAX}, not {port}")
    return port


def _path(item: Item, key: str, folders: Folders) -> str:
    text = item.long_text(key, PATH_MAX_BYTES)
    if text in ("", "~"):
        return str(folders.home) if text else ""
    path = folders.home / text[2:] if text.startswith("~/") else Path(text)
    return str(folders.base / path)


def _store(item: Item, key: str, folders: Folders) -> str:
    path = _path(item, key, folders)
    if not path:
        raise item.wrong(f"{key} must be the path of a folder")
    return path


def _database(item: Item, key: str, _: Folders) -> str:
    return _matching(item, key, DATABASE, "empty (SQLite in the store) or begin postgresql://")


def _url(item: Item, key: str, _: Folders) -> str:
    return _matching(item, key, URL, "empty or like http://host:7070").rstrip("/")


def _token(item: Item, key: str, _: Folders) -> Secret:
    text = item.value if isinstance(item.value, str) else ""
    if not text.isprintable() or not text.isascii() or " " in text:
        raise item.wrong(f"{key} must be letters, digits and signs without a space")
    return Secret(text)


def _name(item: Item, key: str, _: Folders) -> str:
    return _matching(item, key, NAME, "a name of letters, digits and . _ - :")


def _hosts(item: Item, key: str, _: Folders) -> tuple[str, ...]:
    return _list(item, key, HOST, "a name or an address, with a port or without")


def _origins(item: Item, key: str, _: Folders) -> tuple[str, ...]:
    return _list(item, key, ORIGIN, "like https://host:port, without a path")


def _size(item: Item, key: str, _: Folders) -> int:
    try:
        size_bytes = bytes_of(_amount(item, key), key)
    except BadAmount as bad:
        raise item.wrong(f"{key}: {bad.problem}") from None
    if not size_bytes:
        raise item.wrong(f"{key} must be more than 0")
    return size_bytes


def _span(item: Item, key: str, _: Folders) -> int:
    return item.span_ms(key)


def _while(item: Item, key: str, _: Folders) -> int:
    return item.time_ms(key)


def _points(item: Item, key: str, _: Folders) -> int:
    points = _typed(item).whole(key)
    if not POINTS_MIN <= points <= POINTS_MAX:
        raise item.wrong(f"{key} must be {POINTS_MIN} to {POINTS_MAX}, not {points}")
    return points


def _flag(item: Item, key: str, _: Folders) -> bool:
    return _typed(item).flag(key)


def _memory(item: Item, key: str, _: Folders) -> MemoryLimits:
    return MemoryLimits(item.one_of(tuple(MemoryLimits), f"limit of {key}"))


def _cpu(item: Item, key: str, _: Folders) -> CpuLimits:
    return CpuLimits(item.one_of(tuple(CpuLimits), f"limit of {key}"))


def _executor(item: Item, key: str, _: Folders) -> ExecutorKind:
    return ExecutorKind(item.one_of(tuple(ExecutorKind), f"{key} of executor"))


def _ray(item: Item, key: str, _: Folders) -> str:
    return _matching(item, key, RAY, "auto or HOST:PORT") or "auto"


def _agents(item: Item, key: str, _: Folders) -> str:
    return _matching(item, key, HOST, "empty, a name or an address")


def _lease(item: Item, key: str, _: Folders) -> int:
    lease_ms = item.span_ms(key)
    if not LEASE_MIN_MS <= lease_ms <= LEASE_MAX_MS:
        raise item.wrong(f"{key} must be 3s to 1d")
    return lease_ms


def _depot(item: Item, key: str, _: Folders) -> str:
    return _matching(item, key, DEPOT, "empty or a URL like s3://bucket/folder").rstrip("/")


def _typed(item: Item) -> Item:
    """Give the whole number, or true and false, that a text from outside a file stands for."""
    if item.line or not isinstance(item.value, str):
        return item
    text = item.value.strip()
    if text in ("true", "false"):
        return replace(item, value=text == "true")
    return replace(item, value=int(text)) if WHOLE.fullmatch(text) else item


def _matching(item: Item, key: str, pattern: re.Pattern[str], wanted: str) -> str:
    text = item.value  # what is wrong is not repeated: there may be a password in it
    if not isinstance(text, str) or (text and not pattern.fullmatch(text)):
        raise item.wrong(f"{key} must be {wanted}")
    return text


def _list(item: Item, key: str, pattern: re.Pattern[str], wanted: str) -> tuple[str, ...]:
    value = item.value
    if isinstance(value, str) and not item.line:  # a variable holds them all, with commas
        parts = [replace(item, value=part.strip()) for part in value.split(",") if part.strip()]
    else:
        parts = item.items(key)
    texts = [part.text(key) for part in parts]
    for part, text in zip(parts, texts, strict=True):
        if not pattern.fullmatch(text):
            raise part.wrong(f"{key}: {text!r} must be {wanted}")
    return tuple(dict.fromkeys(texts))


def _amount(item: Item, key: str) -> str | float:
    if not isinstance(item.value, str | int | float):
        raise item.wrong(f"{key} must be an amount, not {item.said()}")
    return item.value


def _service(key: str, read: Reader, *, in_files: bool = True) -> Setting:
    variable = f"MAKEWAY_{key.upper()}"
    return Setting(section="service", key=key, read=read, variable=variable, in_files=in_files)


def _limit(key: str, read: Reader, field: str = "") -> Setting:
    variable = f"MAKEWAY_LIMITS_{key.upper()}"
    return Setting(section="limits", key=key, read=read, variable=variable, field=field)


def _kept(key: str, read: Reader, field: str = "") -> Setting:
    variable = f"MAKEWAY_RETENTION_{key.upper()}"
    return Setting(section="retention", key=key, read=read, variable=variable, field=field)


def _executed(key: str, read: Reader, field: str = "") -> Setting:
    variable = "MAKEWAY_EXECUTOR" + ("" if key == "kind" else f"_{key.upper()}")
    return Setting(section="executor", key=key, read=read, variable=variable, field=field)


def _export(key: str, read: Reader, *, in_files: bool = True) -> Setting:
    variable = f"MAKEWAY_EXPORT_{key.upper()}"
    return Setting(section="export", key=key, read=read, variable=variable, in_files=in_files)


SETTINGS = (
    Setting(section="artifacts", key="url", read=_depot, variable="MAKEWAY_ARTIFACTS_URL"),
    _service("host", _host),
    _service("port", _port),
    _service("store", _store),
    _service("database", _database),
    _service("url", _url),
    _service("token", _token, in_files=False),
    _service("token_file", _path),
    _service("allowed_hosts", _hosts),
    _service("allowed_origins", _origins),
    _service("max_request_bytes", _size),
    _limit("memory", _memory),
    _limit("cpu", _cpu),
    _limit("run_as_user", _flag),
    _limit("sample_interval", _span, "sample_interval_ms"),
    _executed("kind", _executor),
    _executed("ray_address", _ray),
    _executed("host", _agents),
    _executed("port", _port),
    _executed("lease", _lease, "lease_ms"),
    _kept("samples", _while, "samples_ms"),
    _kept("points", _points),
    _kept("keys", _while, "keys_ms"),
    _export("openlineage_url", _url),
    _export("openlineage_key", _token, in_files=False),
    _export("otlp_url", _url),
    _export("namespace", _name),
)
