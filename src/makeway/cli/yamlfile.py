"""Read a YAML 1.2 file into items that know their lines (JSON is YAML too).

Plain words are what the core schema of YAML 1.2 says they are: `on`, `off`, `yes` and `no` are
texts. A key that stands twice in a mapping is an error, and so is any tag but those of the schema.
An alias is read as what it names.
"""

from __future__ import annotations

import re
import warnings
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, ReusedAnchorWarning, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError

from makeway.errors import InvalidInput, NotFound
from makeway.intake.located import Item

WORDS = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys(("null", "Null", "NULL", "~", "")),
}
WHOLE = re.compile(r"[-+]?[0-9]+")
BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
NUMBER = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
SPECIAL = {
    **dict.fromkeys((".nan", ".NaN", ".NAN"), "nan"),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), "inf"),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), "-inf"),
}
TAG = "tag:yaml.org,2002:"
# What a plain text can be taken for, and is read by our own rules.
SCHEMA = ("str", "int", "float", "bool", "null", "map", "seq", "timestamp", "merge", "value")


def read(path: str) -> Item:
    """Read a file; what is no YAML is told with its line."""
    try:
        text = Path(path).read_text("utf-8-sig")
    except FileNotFoundError:
        raise NotFound("there is no such file", where=path) from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise InvalidInput("this is no text in UTF-8", where=f"{path}:{line}") from None
    except OSError as error:
        raise InvalidInput(f"it cannot be read: {error.strerror}", where=path) from None
    return read_text(text, path)


def read_text(text: str, path: str) -> Item:
    """Read a text that stands in the file `path`."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ReusedAnchorWarning)  # YAML allows it
            node = YAML(typ="rt", pure=True).compose(text)
        return Item(path, 1, None) if node is None else _Reading(path).item(node, ())
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark is not None else 1
        raise InvalidInput(f"this is no YAML: {error.problem}", where=f"{path}:{line}") from None
    except ReaderError as error:
        line = text[: error.position].count("\n") + 1
        sign = error.character
        code = f"{sign if isinstance(sign, int) else ord(sign):04X}"
        problem = f"this is no YAML: the sign U+{code} may not stand there"
        raise InvalidInput(problem, where=f"{path}:{line}") from None
    except YAMLError as error:
        raise InvalidInput(f"this is no YAML: {error}", where=f"{path}:1") from None
    except RecursionError:
        raise InvalidInput("it is nested too deeply", where=f"{path}:1") from None


class _Reading:
    """One file that is read; what has an alias is read once, however often it is named."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._known: dict[int, Item] = {}

    def item(self, node: Node, above: tuple[int, ...]) -> Item:
        """Read one node, which stands within those `above`."""
        if id(node) in above:
            raise self._wrong(node, "an alias stands within what it names")
        if id(node) not in self._known:
            self._known[id(node)] = self._read(node, (*above, id(node)))
        return self._known[id(node)]

    def _read(self, node: Node, within: tuple[int, ...]) -> Item:
        tag = str(node.tag).removeprefix(TAG)
        if tag not in SCHEMA:
            raise self._wrong(node, f"there is no tag {tag!r} here")
        line = node.start_mark.line + 1
        match node:
            case MappingNode():
                return Item(self._path, line, self._mapping(node, within))
            case SequenceNode():
                return Item(self._path, line, [self.item(one, within) for one in node.value])
            case ScalarNode():
                value = _scalar(node)
                written = "" if isinstance(value, str) else node.value
                return Item(self._path, line, value, written)
        raise self._wrong(node, "this is neither a mapping, a list nor a value")

    def _mapping(self, node: MappingNode, within: tuple[int, ...]) -> dict[str, Item]:
        found: dict[str, Item] = {}
        for key, value in node.value:
            if not isinstance(key, ScalarNode):
                raise self._wrong(key, "a key must be a text")
            name = str(key.value)
            if name in found:
                raise self._wrong(key, f"the key {name!r} is there twice")
            item = self.item(value, within)
            found[name] = Item(item.file, key.start_mark.line + 1, item.value, item.written)
        return found

    def _wrong(self, node: Node, problem: str) -> InvalidInput:
        return InvalidInput(problem, where=f"{self._path}:{node.start_mark.line + 1}")


def _scalar(node: ScalarNode) -> object:
    text: str = node.value
    if node.style in ("'", '"', "|", ">"):
        return text
    if str(node.tag) == f"{TAG}str" and not NUMBER.fullmatch(text):
        return text  # a word, or tagged as one
    if text in WORDS:
        return WORDS[text]
    if text in SPECIAL:
        return float(SPECIAL[text])
    try:
        if WHOLE.fullmatch(text):
            return int(text)
        if BASED.fullmatch(text):
            return int(text, 0)
    except ValueError:  # thousands of digits
        return text
    return float(text) if NUMBER.fullmatch(text) else text
