"""Read a YAML 1.2 file into items that know their lines (JSON is YAML too)."""

from __future__ import annotations

from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from makeway.errors import InvalidInput, NotFound
from makeway.sim.located import Item

WORDS = {"true": True, "false": False, "null": None, "~": None, "": None}


def read(path: str) -> Item:
    """Read a file; what is no YAML is told with its line."""
    try:
        text = Path(path).read_text("utf-8")
    except FileNotFoundError:
        raise NotFound("there is no such file", where=path) from None
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"it cannot be read: {error}", where=path) from None
    try:
        node = YAML(typ="rt", pure=True).compose(text)
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark is not None else 1
        raise InvalidInput(f"this is no YAML: {error.problem}", where=f"{path}:{line}") from None
    except YAMLError as error:
        raise InvalidInput(f"this is no YAML: {error}", where=path) from None
    return Item(path, 1, None) if node is None else _item(path, node, ())


def _item(path: str, node: Node, above: tuple[int, ...]) -> Item:
    line = node.start_mark.line + 1
    if id(node) in above:
        raise InvalidInput("an alias stands within what it names", where=f"{path}:{line}")
    within = (*above, id(node))
    match node:
        case MappingNode():
            found: dict[str, Item] = {}
            for key, value in node.value:
                name = str(key.value)
                at = key.start_mark.line + 1
                if not isinstance(key, ScalarNode):
                    raise InvalidInput("a key must be a text", where=f"{path}:{at}")
                if name in found:
                    raise InvalidInput(f"the key {name!r} is there twice", where=f"{path}:{at}")
                found[name] = _item(path, value, within)
            return Item(path, line, found)
        case SequenceNode():
            return Item(path, line, [_item(path, one, within) for one in node.value])
        case ScalarNode():
            return Item(path, line, _scalar(node))
        case _:
            raise InvalidInput(
                "this is neither a mapping, a list nor a value", where=f"{path}:{line}"
            )


def _scalar(node: ScalarNode) -> object:
    text: str = node.value
    if node.style in ("'", '"', "|", ">"):
        return text
    if text.lower() in WORDS and (
        text.islower() or text.istitle() or text.isupper() or text in WORDS
    ):
        return WORDS[text.lower()]
    for kind in (int, float):
        try:
            return kind(text) if "_" not in text else text
        except ValueError:
            continue
    return text
