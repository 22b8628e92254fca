"""Read what a job asks for: in a scenario, in a file of its own, in the body of a request.

`asked_of` reads the keys that all of these have in common, `spec_of` a whole job that is submitted.
What is written in several places (a file, and options of the command) is put together by `merged`
first, and read once.

Takes:   an `Item`, a mapping; the rules, for the names of classes; what an absent key means
Gives:   JobSpec. Who may do that, whether its nodes and queue are there and which jobs the names in
         `after` mean is for the caller to say
Raises:  InvalidInput, with the place
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

from msgspec.structs import replace

from makeway.intake.located import Item, option
from makeway.intake.queues import class_of
from makeway.intake.worth import KEYS as WORTH
from makeway.intake.worth import worth_of
from makeway.model.job import SYSTEM_MIN, After, Domain, JobSpec, On, OnHang, Program, WorkerGroup
from makeway.model.rules import Rules

KEYS = (
    "name", "queue", "user", "class", "priority", "workers", "per_worker", "groups", "command",
    "directory", "environment", "after", "time_limit", "expected", "retries", "grace", "barrier",
    "idempotent", "preemptible", "checkpoint_every", "startup", "nodes", "domain", "hold", "on_hang",
    *WORTH,
)  # fmt: skip
WORKERS_MAX = 100_000
# The kernel takes no longer argument or variable; together they must fit beside others in the log.
WORD_MAX_BYTES = 131_071
PROGRAM_MAX_BYTES = 1 << 20
PATH_MAX_BYTES = 4_095
# What says the same in another way, and goes where the key is laid over it.
REPLACES = {
    "class": ("priority",), "priority": ("class",), "groups": ("workers", "per_worker"),
}  # fmt: skip
LAID_OVER = ("workers", "per_worker", "environment")


def spec_of(item: Item, rules: Rules, defaults: JobSpec) -> JobSpec:
    """Read a job that is submitted.

    Where a key is absent, or there is nothing at it, `defaults` says what is meant; of its fields
    only `priority` and `after` say nothing, and an empty `name` or `argv` must be given. A
    `directory` is within that of the defaults, unless it is absolute. The jobs of `after` are as
    they were written.
    """
    found = item.fields(KEYS, "a job")
    fields = {key: one for key, one in found.items() if one.value is not None}
    hold_of(item)
    if "name" not in fields and not defaults.name:
        raise item.wrong("a job needs a name")
    name = fields["name"].text("name") if "name" in fields else defaults.name
    spec = asked_of(fields, rules, replace(defaults, name=name))
    known: dict[str, object] = {}
    for key in ("grace", "startup"):
        if key in fields:
            known[f"{key}_ms"] = fields[key].time_ms(key)
    if "barrier" in fields:
        known["barrier_ms"] = fields["barrier"].span_ms("barrier")
    if "idempotent" in fields:
        known["idempotent"] = fields["idempotent"].flag("idempotent")
    if "on_hang" in fields:
        known["on_hang"] = OnHang(fields["on_hang"].one_of(tuple(OnHang), "on_hang"))
    if "nodes" in fields:
        names = (one.text("node") for one in fields["nodes"].items("nodes"))
        known["nodes"] = tuple(dict.fromkeys(names))
    after = waits_of(fields["after"]) if "after" in fields else ()
    known["after"] = tuple(After(job=target.text("job"), on=on) for target, on in after)
    known["program"] = _program(fields, item, defaults.program)
    known |= worth_of(fields, spec.groups)
    return replace(spec, **known)


def hold_of(item: Item) -> bool:
    """Say whether a job is to be held when it comes: `hold: true`."""
    hold = option(item.mapping("a job"), "hold")
    return hold is not None and hold.flag("hold")


def merged(item: Item, over: Item) -> Item:
    """Lay the keys of `over` over those of `item`: what was said later, or nearer, counts.

    Of `workers`, `per_worker` and `environment` single keys are; and what says the same in another
    way goes, as a priority does where there is a class now.
    """
    fields = dict(item.mapping("a job")) if item.value is not None else {}
    for key, one in over.mapping("a job").items():
        for other in REPLACES.get(key, ()):
            fields.pop(other, None)
        fields[key] = _over(fields.get(key), one) if key in LAID_OVER else one
    return replace(item, value=fields)


def _over(below: Item | None, item: Item) -> Item:
    if below is None or not isinstance(below.value, dict) or not isinstance(item.value, dict):
        return item
    return replace(item, value={**below.value, **item.value})


# ── what every job has, also that of a scenario ───────────────────────────────────────────────────


def asked_of(fields: Mapping[str, Item], rules: Rules, base: JobSpec) -> JobSpec:
    """Read who a job is for, what it asks for, and for how long; `base` has its name."""
    known: dict[str, object] = {"groups": groups_of(fields, base)}
    if "queue" in fields:
        known["queue"] = _queue(fields["queue"])
    for key in ("time_limit", "expected", "checkpoint_every"):
        if (time := option(fields, key)) is not None:
            known[f"{key}_ms"] = time.span_ms(key)
    if "user" in fields:
        known["user"] = fields["user"].text("user")
    known["priority"] = _priority(fields, rules)
    if "retries" in fields:
        known["retries"] = fields["retries"].whole("retries")
    if "preemptible" in fields:
        known["preemptible"] = fields["preemptible"].flag("preemptible")
    if (domain := option(fields, "domain")) is not None:
        known["domain"] = _domain(domain)
    return replace(base, **known)


def groups_of(fields: Mapping[str, Item], base: JobSpec) -> tuple[WorkerGroup, ...]:
    """Read the workers: one group, or several; who says nothing gets those of `base`."""
    if "groups" not in fields:
        workers, per_worker = fields.get("workers"), fields.get("per_worker")
        if workers is None and per_worker is None:
            return base.groups
        return (_group("worker", workers, per_worker),)
    for key in ("workers", "per_worker"):
        if key in fields:
            raise fields[key].wrong(f"groups stand in place of {key}")
    groups: list[WorkerGroup] = []
    for one in fields["groups"].items("groups"):
        inner = one.fields(("name", "workers", "per_worker"), "a group")
        if "name" not in inner:
            raise one.wrong("a group needs a name")
        name = inner["name"].text("name")
        if any(group.name == name for group in groups):
            raise one.wrong(f"there are two groups called {name!r}")
        groups.append(_group(name, inner.get("workers"), inner.get("per_worker")))
    if not groups:
        raise fields["groups"].wrong("a job needs at least one group")
    return tuple(groups)


def _group(name: str, workers: Item | None, per_worker: Item | None) -> WorkerGroup:
    least = most = 1
    if workers is not None and isinstance(workers.value, dict):
        bounds = workers.fields(("min", "max"), "workers")
        if len(bounds) < 2:
            raise workers.wrong("elastic workers need min and max")
        least, most = bounds["min"].whole("min", 1), bounds["max"].whole("max", 1)
        if least > most:
            raise workers.wrong(f"min {least} is more than max {most}")
    elif workers is not None:
        least = most = workers.whole("workers", 1)
    if workers is not None and most > WORKERS_MAX:
        raise workers.wrong(f"a job has at most {WORKERS_MAX} workers")
    asked = WorkerGroup(name=name, count_min=least, count_max=most)
    if per_worker is None:
        return asked
    return replace(asked, per_worker=per_worker.resources("per_worker"))


def waits_of(item: Item) -> Iterator[tuple[Item, On]]:
    """Read what a job waits for: names, or names with the end that is meant."""
    for one in item.items("after"):
        on, target = On.SUCCEEDED, one
        if isinstance(one.value, dict):
            fields = one.fields(("job", "on"), "after")
            if "job" not in fields:
                raise one.wrong("after needs a job")
            target = fields["job"]
            if "on" in fields:
                on = On(fields["on"].one_of(tuple(On), "on"))
        yield target, on


def _queue(item: Item) -> str:
    queue = item.text("queue")
    if any(not part for part in queue.split("/")):
        raise item.wrong(f"{queue!r} is no path of queues")
    return queue


def _priority(fields: Mapping[str, Item], rules: Rules) -> int:
    if "class" in fields and "priority" in fields:
        raise fields["priority"].wrong("a job has a class or a priority, not both")
    if "class" in fields:
        return class_of(fields["class"], rules)
    if "priority" not in fields:
        return rules.classes["medium"]
    number = fields["priority"].whole("priority", -(10**6))
    if number >= SYSTEM_MIN:
        raise fields["priority"].wrong(
            f"{SYSTEM_MIN} and more are for the administrators' classes: use class"
        )
    return number


def _domain(item: Item) -> Domain:
    inner = item.fields(("label", "required"), "domain")
    if "label" not in inner:
        raise item.wrong("domain needs a label")
    required = inner["required"].flag("required") if "required" in inner else True
    return Domain(label=inner["label"].text("label"), required=required)


# ── what runs, which a scenario does not say ──────────────────────────────────────────────────────


def _program(fields: Mapping[str, Item], item: Item, base: Program) -> Program:
    argv, directory, environment = base.argv, base.directory, dict(base.environment)
    if "command" in fields:
        argv = _command(fields["command"])
    elif not argv:
        raise item.wrong("a job needs a command")
    if "directory" in fields:
        given = fields["directory"].long_text("directory", PATH_MAX_BYTES)
        directory = str(PurePosixPath(directory) / given)
        if not directory.startswith("/"):
            raise fields["directory"].wrong(f"directory must be an absolute path, not {given!r}")
    if "environment" in fields:
        for name, one in fields["environment"].mapping("environment").items():
            if not name or "=" in name or not name.isprintable():
                raise one.wrong(f"{name!r} cannot be the name of a variable")
            environment[name] = one.long_text(name, WORD_MAX_BYTES - len(name.encode()) - 1)
    words = (*argv, *environment, *environment.values())
    if sum(len(word.encode()) + 1 for word in words) > PROGRAM_MAX_BYTES:
        raise item.wrong(f"command and environment have more than {PROGRAM_MAX_BYTES} bytes")
    return Program(argv=argv, directory=directory, environment=environment)


def _command(item: Item) -> tuple[str, ...]:
    """Read a list of words, or one text for the shell."""
    if not isinstance(item.value, list):
        text = item.long_text("command", WORD_MAX_BYTES)
        if not text.strip():
            raise item.wrong("the command is empty")
        return ("sh", "-c", text)
    words = tuple(one.long_text("command", WORD_MAX_BYTES) for one in item.value)
    if not words or not words[0]:
        raise item.wrong("the command is empty")
    return words
