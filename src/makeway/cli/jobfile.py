"""Put a job together from a file and the options of the command: what is typed lies over the file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from makeway.cli.plainfile import Written, plain_file
from makeway.errors import InvalidInput
from makeway.model.job import On

LAUNCHERS = ("python", "python3", "sh", "bash", "env", "nice", "torchrun", "uv", "exec")
NAME_MAX = 60


class Typed(msgspec.Struct, frozen=True, kw_only=True):
    """What was typed of a job; None and nothing: the file says it, or nobody does."""

    command: tuple[str, ...] = ()
    name: str | None = None
    queue: str | None = None
    job_class: str | None = None
    priority: int | None = None
    workers: int | None = None
    least: int | None = None
    most: int | None = None
    cpus: float | None = None
    memory: str | None = None
    gpus: float | None = None
    after: tuple[str, ...] = ()
    time_limit: str | None = None
    retries: int | None = None
    nodes: tuple[str, ...] = ()
    directory: str | None = None
    environment: tuple[str, ...] = ()
    hold: bool = False
    no_preempt: bool = False
    checkpoint_every: str | None = None
    max_memory: str | None = None


def body_of(file: str | None, typed: Typed) -> tuple[dict[str, object], Written | None]:
    """Give the body of the request, and the file that it comes from."""
    written = None if file is None else plain_file(file)
    body = dict(written.values) if written is not None else {}
    _lay_over(body, typed)
    _lay_workers(body, typed)
    if "command" not in body and "call" not in body:
        hint = "give it behind two dashes: makeway submit -- python train.py"
        raise InvalidInput("a job needs a command", where=file or "", hint=hint)
    body["directory"] = _directory(body.get("directory"), file, typed.directory)
    if "name" not in body:
        body["name"] = name_for(body["command"])
    return body, written


def _lay_over(body: dict[str, object], typed: Typed) -> None:
    plain = {
        "name": typed.name,
        "queue": typed.queue,
        "class": typed.job_class,
        "priority": typed.priority,
        "time_limit": typed.time_limit,
        "retries": typed.retries,
        "max_memory": typed.max_memory,
        "checkpoint_every": typed.checkpoint_every,
        "command": list(typed.command) or None,
        "nodes": list(typed.nodes) or None,
        "after": [after_of(text) for text in typed.after] or None,
        "hold": typed.hold or None,
        "preemptible": False if typed.no_preempt else None,
    }
    # A class and a priority say the same: the one that was typed counts.
    if typed.job_class is not None and typed.priority is None:
        body.pop("priority", None)
    if typed.priority is not None and typed.job_class is None:
        body.pop("class", None)
    body.update({key: value for key, value in plain.items() if value is not None})
    if typed.environment:
        known = body.get("environment")
        body["environment"] = {
            **(known if isinstance(known, dict) else {}),
            **dict(_variable(text) for text in typed.environment),
        }


def _lay_workers(body: dict[str, object], typed: Typed) -> None:
    """Lay the number of workers and what each asks for over the file's."""
    elastic = typed.least is not None or typed.most is not None
    if elastic and typed.workers is not None:
        raise InvalidInput("--workers and --min with --max say the same", where="--workers")
    if elastic and (typed.least is None or typed.most is None):
        raise InvalidInput("--min and --max belong together", where="--min, --max")
    amounts = {"cpus": typed.cpus, "memory": typed.memory, "gpus": typed.gpus}
    asked = {kind: amount for kind, amount in amounts.items() if amount is not None}
    if "groups" in body and (asked or elastic or typed.workers is not None):
        problem = "the file has groups of workers; say there what each of them asks for"
        raise InvalidInput(problem, where="--workers, --cpus, --memory, --gpus")
    if typed.workers is not None:
        body["workers"] = typed.workers
    elif elastic:
        body["workers"] = {"min": typed.least, "max": typed.most}
    if asked:
        known = body.get("per_worker")
        body["per_worker"] = {**(known if isinstance(known, dict) else {}), **asked}


def after_of(text: str) -> dict[str, object]:
    """Read `JOB`, or `JOB:failed`: what the job waits for."""
    job, colon, on = text.rpartition(":")
    if not colon or on not in tuple(On):
        if colon and on.isalpha() and job:
            known = ", ".join(On)
            raise InvalidInput(f"a job does not end {on!r}; write {known}", where="--after")
        job, on = text, On.SUCCEEDED.value
    if not job:
        raise InvalidInput("it names no job", where="--after", hint="write --after JOB")
    return {"job": job, "on": on}


def _variable(text: str) -> tuple[str, str]:
    """Read `KEY=VALUE`; a KEY alone is passed on as it is here."""
    key, equals, value = text.partition("=")
    if not key:
        raise InvalidInput(f"{text!r} names no variable", where="--env", hint="write KEY=VALUE")
    if not equals:
        if key not in os.environ:
            raise InvalidInput(f"{key} is not set here", where="--env", hint="write KEY=VALUE")
        value = os.environ[key]
    return key, value


def _directory(written: object, file: str | None, typed: str | None) -> object:
    """Give an absolute folder: a relative one is within that of the file, or where one stands."""
    if typed is not None:
        return str(Path(typed).absolute())
    if written is None:
        return str(Path.cwd())
    if not isinstance(written, str):
        return written  # the service says what is wrong with it
    base = Path(file).absolute().parent if file is not None else Path.cwd()
    return str(base / written)


def name_for(command: object) -> str:
    """Make a readable name of a command: that of the program, and of its script if it has one."""
    words = command.split() if isinstance(command, str) else command
    if not isinstance(words, Sequence):
        return "job"
    texts = [str(word) for word in words]
    while texts and (Path(texts[0]).name in LAUNCHERS or texts[0].startswith("-")):
        if texts[0] in ("-c", "-m"):
            texts = texts[1:2] if texts[0] == "-m" else []
            break
        texts = texts[1:]
    name = Path(texts[0]).stem if texts else Path(str(words[0])).stem if words else ""
    kept = "".join(sign if sign.isalnum() or sign in "-_." else "-" for sign in name)
    return kept.strip("-.")[:NAME_MAX] or "job"
