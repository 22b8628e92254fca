"""Name what a step computes: the same key means the same code applied to the same inputs.

A resumed run reuses an output if its key is the same; so a change of the code, of a parameter or
of an input reruns that step and everything whose input it changes, and nothing else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import msgspec

from makeway.model.workflow import Binding, Constant, Many, Step, Stored


def cache_key(step: Step, arguments: Mapping[str, Binding]) -> str:
    """Hash the step's code and its resolved arguments (constants and stored artifacts)."""
    identity = {
        "step": step.key,
        "function": step.function,
        "code": step.code_digest,
        "workers": step.workers,
        "arguments": {name: _content(binding) for name, binding in sorted(arguments.items())},
    }
    return hashlib.sha256(msgspec.json.encode(identity, order="sorted")).hexdigest()


def _content(binding: Binding) -> object:
    match binding:
        case Constant(value):
            return {"value": value}
        case Stored(output):
            return {"digest": output.digest, "codec": output.codec}
        case Many(items):
            return [_content(item) for item in items]
        case _:
            message = f"an argument is not resolved yet: {binding}"
            raise AssertionError(message)
