"""Name what a step computes: the same key means the same code applied to the same inputs.

A resumed run reuses an output if its key is the same; so a change of the code, of a parameter or
of an input reruns that step and everything whose input it changes, and nothing else. A step that is
cached reuses the output of any run.

The parts of a key are kept beside it, short, so that two keys can be compared by a person: `code`,
`version`, `environment`, `function`, `workers`, a constant as `value NAME`, an artifact as
`input NAME`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Protocol

import msgspec

from makeway.model.record import Output
from makeway.model.workflow import Binding, Constant, Failure, Many, Reusable, Step, Stored

VALUE_CHARS = 200
DIGEST_CHARS = 12
MANY_MAX = 32  # a longer list of inputs is told by one digest

VALUE, INPUT = "value", "input"


class Kept(Protocol):
    """What earlier runs have left behind."""

    def find(self, cache_key: str, since_ms: int | None) -> Reusable | None:
        """Give an output of this key that is whole, and not older than that."""
        ...

    def there(self, output: Output) -> bool:
        """Say whether an output is still there, and what it was."""
        ...

    def has(self, output: Output) -> bool:
        """Say whether an output is still there; nothing of it is read."""
        ...

    def truth(self, output: Output) -> bool | None:
        """Say whether an output is true as Python sees it; None if it is no plain value."""
        ...


class Earlier(Protocol):
    """What a step that is about to be submitted may take over, as of now."""

    def find(self, step: Step, cache_key: str) -> Reusable | None:
        """Give an output that stands in for the step, if it may be reused at all."""
        ...

    def computing(self, step: Step, cache_key: str) -> bool:
        """Say whether the step has to wait, since another run computes the very same."""
        ...

    def has(self, output: Output) -> bool:
        """Say whether an output of this run can still be read."""
        ...

    def truth(self, output: Output) -> bool | None:
        """Say whether an output is true as Python sees it; None if it is no plain value."""
        ...


class Nothing:
    """No earlier run has left anything behind."""

    def find(self, _: object, __: object) -> None:
        """Find nothing."""

    def there(self, _: Output) -> bool:
        """Trust what is known to have been made."""
        return True

    def has(self, _: Output) -> bool:
        """Trust it likewise."""
        return True

    def computing(self, _: Step, __: str) -> bool:
        """Wait for nobody."""
        return False

    def truth(self, _: Output) -> bool | None:
        """Know nothing of what is in an output."""
        return None


NOTHING = Nothing()


def cache_key(step: Step, arguments: Mapping[str, Binding]) -> str:
    """Hash the step's code and its resolved arguments (constants and stored artifacts)."""
    identity: dict[str, object] = {
        "step": step.key,
        "function": step.function,
        "code": step.code_digest,
        "workers": step.workers,
        "arguments": {name: _content(binding) for name, binding in sorted(arguments.items())},
    }
    rule = step.cache
    if rule is not None:
        identity["arguments"] = {
            name: _content(binding)
            for name, binding in sorted(arguments.items())
            if name not in rule.ignore
        }
        if rule.version:
            identity["code"], identity["version"] = "", rule.version
        if rule.environment:
            identity["environment"] = rule.environment
    return hashlib.sha256(msgspec.json.encode(identity, order="sorted")).hexdigest()


def key_parts(step: Step, arguments: Mapping[str, Binding]) -> dict[str, str]:
    """Say what the key of a step is made of; an argument that is not resolved yet is left out."""
    rule = step.cache
    parts = {"function": step.function, "workers": str(step.workers)}
    if rule is not None and rule.version:
        parts["version"] = rule.version
    else:
        parts["code"] = step.code_digest
    if rule is not None and rule.environment:
        parts["environment"] = rule.environment[:DIGEST_CHARS]
    for name, binding in arguments.items():
        if rule is None or name not in rule.ignore:
            parts |= _parts(name, binding)
    return parts


def _parts(name: str, binding: Binding) -> dict[str, str]:
    match binding:
        case Constant(value):
            return {f"{VALUE} {name}": _short(msgspec.json.encode(value, order="sorted"))}
        case Stored(output):
            return {f"{INPUT} {name}": f"{output.digest[:DIGEST_CHARS]} {output.codec}"}
        case Failure(step, _):
            return {f"{INPUT} {name}": f"nothing: {step} failed"}
        case Many(items) if all(
            isinstance(item, Constant | Stored | Many | Failure) for item in items
        ):
            found = [_parts(f"{name}[{place}]", item) for place, item in enumerate(items)]
            parts = {key: text for one in found for key, text in one.items()}
            if len(parts) <= MANY_MAX:
                return parts or {f"{INPUT} {name}": "nothing"}
            content = msgspec.json.encode(_content(binding))
            return {f"{INPUT} {name}": hashlib.sha256(content).hexdigest()[:DIGEST_CHARS]}
        case _:
            return {}


def _short(text: bytes) -> str:
    if len(text) <= VALUE_CHARS:
        return text.decode()
    return f"{len(text)} bytes, {hashlib.sha256(text).hexdigest()[:DIGEST_CHARS]}"


def _content(binding: Binding) -> object:
    match binding:
        case Constant(value):
            return {"value": value}
        case Stored(output):
            return {"digest": output.digest, "codec": output.codec}
        case Many(items):
            return [_content(item) for item in items]
        case Failure(step, _):
            return {"failure": step}
        case _:
            message = f"an argument is not resolved yet: {binding}"
            raise AssertionError(message)


# ── two keys compared ─────────────────────────────────────────────────────────────────────────────


class Keyed(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of one key, and what its code is made of."""

    parts: Mapping[str, str]
    code: Mapping[str, str] = {}


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One thing in which two keys differ.

    kind  `code`, `value`, `input`, `version`, `environment`, `function` or `workers`
    name  the function, the argument, or nothing
    """

    kind: str
    name: str
    text: str


def differences(before: Keyed, now: Keyed) -> list[Difference]:
    """Say in what the key `now` differs from the one before: code first, then what it is given."""
    found = [*_code(before, now)]
    for part in ("version", "environment", "function", "workers"):
        old, new = before.parts.get(part), now.parts.get(part)
        if old != new:
            text = f"{part}: {old or 'none'} -> {new or 'none'}"
            found.append(Difference(kind=part, name="", text=text))
    names = [name for name in {**before.parts, **now.parts} if name.startswith((VALUE, INPUT))]
    for name in names:
        old, new = before.parts.get(name), now.parts.get(name)
        if old != new:
            found.append(_argument(name, old, new))
    return found


def _argument(part: str, old: str | None, new: str | None) -> Difference:
    kind, _, name = part.partition(" ")
    if kind == VALUE:
        text = f"parameter {name}: {_or_none(old)} -> {_or_none(new)}"
    elif old is None or new is None:
        text = f"input {name}: {'it was not given before' if old is None else 'it is gone'}"
    else:
        text = f"input {name}: another digest ({old.split()[0]} -> {new.split()[0]})"
    return Difference(kind=kind, name=name, text=text)


def _or_none(text: str | None) -> str:
    return "not given" if text is None else text


def _code(before: Keyed, now: Keyed) -> Iterator[Difference]:
    if before.parts.get("code") == now.parts.get("code"):
        return
    if "code" not in before.parts or "code" not in now.parts:
        return  # a version counts in its place, and is told
    changed = [
        (label, "changed" if label in before.code and label in now.code else "")
        for label in sorted({**before.code, **now.code})
        if before.code.get(label) != now.code.get(label)
    ]
    if not changed or not before.code:
        yield Difference(kind="code", name="", text="its code changed")
        return
    for label, word in changed:
        how = word or ("is new" if label in now.code else "is gone")
        yield Difference(kind="code", name=label, text=f"code of {label} {how}")
