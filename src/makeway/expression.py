"""Read and evaluate what a rule asks of an attempt: `last.memory_peak > 0.9 * last.memory_limit`.

Numbers, texts, true and false; + - * /; = != < <= > >=, IN (…), LIKE, IS NULL; AND, OR, NOT and
parentheses. Numbers may have a unit: `2GB`, `512MiB`, `30s`, `5m`, `90%`; sizes count bytes, times
seconds. A name that nothing is known of is unknown, and so is what is computed from it: a condition
that is unknown does not hold, and neither does its contrary.

Takes:   text; the names that there are, each with the kind of its value
Gives:   Node, a tree; `holds` evaluates it over values by name
Raises:  InvalidInput, with the text and a caret under the place
Holds:   evaluation ends, touches nothing, and raises nothing, whatever the values are
Cost:    100 ms to build the parser when the first text is read, some 0.2 ms a text, then 10 µs
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec

from makeway.errors import InvalidInput

if TYPE_CHECKING:
    from lark import Lark
    from lark.exceptions import UnexpectedInput

CHARACTERS_MAX, WORDS_MAX = 1_000, 200

GRAMMAR = r"""
?start: either
?either: both | either _OR both -> either
?both: denied | both _AND denied -> both
?denied: test | _NOT denied -> denied
?test: sum
     | sum COMPARE sum -> compare
     | sum _IN "(" sum ("," sum)* ")" -> among
     | sum _NOT _IN "(" sum ("," sum)* ")" -> among_not
     | sum _LIKE sum -> like
     | sum _IS _NULL -> null
     | sum _IS _NOT _NULL -> null_not
?sum: product | sum SIGN product -> compute
?product: signed | product TIMES signed -> compute
?signed: atom | SIGN signed -> signed
?atom: NUMBER -> number | TEXT -> text | TRUTH -> truth | name | "(" either ")"
name: WORD ("." WORD)*
COMPARE: "!=" | "<=" | ">=" | "=" | "<" | ">"
SIGN: "+" | "-"
TIMES: "*" | "/"
_OR.3: /or\b/i
_AND.3: /and\b/i
_NOT.3: /not\b/i
_IN.3: /in\b/i
_IS.3: /is\b/i
_LIKE.3: /like\b/i
_NULL.3: /null\b/i
TRUTH.3: /(true|false)\b/i
NUMBER.2: /(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?\s*(%|[KMGT]i?B\b|B\b|ms\b|[smhd]\b)?(?![\w.])/
TEXT: /'[^']*'|"[^"]*"/
WORD: /[A-Za-z_][\w-]*/
%ignore /\s+/
"""
EXPECTED = {
    "COMPARE": "a comparison such as = or >", "WORD": "a name", "NUMBER": "a number",
    "TEXT": "a text in quotes", "_AND": "AND or OR", "RPAR": "a closing parenthesis",
    "LPAR": "an opening parenthesis", "_NULL": "NULL",
}  # fmt: skip
NUMBER = re.compile(r"([\d.]+(?:[eE][+-]?\d+)?)\s*(\S*)")
UNITS = {"": 1.0, "%": 0.01, "B": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0,
         **{f"{letter}B": 1000.0**at for at, letter in enumerate("KMGT", 1)},
         **{f"{letter}iB": 1024.0**at for at, letter in enumerate("KMGT", 1)}}  # fmt: skip

Value = float | bool | str
Kind = str  # `number`, `text`, `truth`
Kinds = Mapping[str, Kind]  # a name that ends in `*` stands for all that begin so


class Node(msgspec.Struct, frozen=True):
    """One part of an expression: what it does, to which parts; `at` is where it stands."""

    does: str
    kind: Kind
    at: int
    parts: tuple[Node, ...] = ()
    value: Value = ""


def parse(text: str, kinds: Kinds) -> Node:
    """Read a condition; `kinds` are the names that there are."""
    from lark.exceptions import UnexpectedInput

    if len(text) > CHARACTERS_MAX or len(re.findall(r"\w+|[^\w\s]", text)) > WORDS_MAX:
        problem = f"a condition has at most {CHARACTERS_MAX} characters and {WORDS_MAX} words"
        raise InvalidInput(problem, where="condition")
    try:
        tree = _parser().parse(text)
    except UnexpectedInput as error:
        raise _unexpected(text, error) from None
    found = _Reader(text, kinds).node(tree)
    if found.kind != "truth":
        raise pointed(text, found.at, f"it is a {found.kind}, and a condition is true or false")
    return found


def holds(node: Node, values: Mapping[str, Value | None]) -> bool:
    """Say whether a condition is true of these values; what is not among them is unknown."""
    return _value(node, values) is True


def names(node: Node) -> set[str]:
    """Give the names that a condition asks for."""
    if node.does == "name":
        return {str(node.value)}
    return {name for part in node.parts for name in names(part)}


def pointed(text: str, at: int, problem: str, hint: str = "") -> InvalidInput:
    """Make the error that shows where in a text something is wrong."""
    line = text.count("\n", 0, at)
    begin = text.rfind("\n", 0, at) + 1
    caret = " " * (at - begin) + "^"
    shown = f"{problem}\n  {text.split(chr(10))[line]}\n  {caret}"
    return InvalidInput(shown, where=f"condition:{at + 1}", hint=hint)


@cache
def _parser() -> Lark:
    from lark import Lark  # 60 ms, for those alone who have a condition

    return Lark(GRAMMAR, parser="lalr", maybe_placeholders=False)


def _unexpected(text: str, error: UnexpectedInput) -> InvalidInput:
    at: int | None = getattr(error, "pos_in_stream", None)  # its stub knows None alone
    if at is None or at < 0 or getattr(getattr(error, "token", None), "type", "") == "$END":
        at = len(text)
    wanted: object = getattr(error, "expected", None) or getattr(error, "allowed", None) or ()
    names = {str(one) for one in wanted} if isinstance(wanted, Iterable) else set[str]()
    said = [words for name, words in EXPECTED.items() if name in names]
    found = "the end" if at >= len(text) else repr(text[at : at + 20].split(maxsplit=1)[0])
    if text[at : at + 1] in ("'", '"'):
        return pointed(text, at, "a quote that is opened here is not closed")
    hint = "equal is written =" if text[max(at - 1, 0) : at + 1] == "==" else ""
    return pointed(
        text, at, f"{' or '.join(said) or 'something else'} was expected, not {found}", hint
    )


class _Reader:
    """Turn the parser's tree into ours, and look at what fits what."""

    def __init__(self, text: str, kinds: Kinds) -> None:
        self.text, self.kinds = text, kinds

    def node(self, tree: Any) -> Node:  # noqa: ANN401 - lark's tree
        does = str(tree.data)
        if does in ("number", "text", "truth", "name"):
            return self._leaf(does, tree.children)
        tokens = [one for one in tree.children if isinstance(one, str)]
        parts = tuple(self.node(one) for one in tree.children if not isinstance(one, str))
        at = parts[0].at
        word = str(tokens[0]) if tokens else does
        match does:
            case "either" | "both" | "denied":
                self._assert_kind(parts, "truth")
            case "compute" | "signed":
                self._assert_kind(parts, "number")
                return Node(f"{word}{len(parts)}", "number", at, parts)
            case "like":
                self._assert_kind(parts, "text")
            case "compare" if parts[0].kind == "truth" and word not in ("=", "!="):
                raise pointed(self.text, parts[1].at, "true and false are only = or !=")
            case _:
                self._assert_kind(parts[1:], parts[0].kind)
        return Node(word if does == "compare" else does, "truth", at, parts)

    def _leaf(self, does: str, tokens: list[Any]) -> Node:
        token, at = str(tokens[0]), tokens[0].start_pos
        if does == "number":
            found = NUMBER.fullmatch(token)
            assert found is not None, "the grammar has matched it"
            return Node("value", "number", at, (), float(found[1]) * UNITS[found[2]])
        if does == "text":
            return Node("value", "text", at, (), token[1:-1])
        if does == "truth":
            return Node("value", "truth", at, (), token.lower() == "true")
        name = ".".join(map(str, tokens))
        kind = self.kinds.get(name) or next(
            (kind for known, kind in self.kinds.items()
             if known.endswith("*") and name.startswith(known[:-1])), None)  # fmt: skip
        if kind is None:
            known = [one for one in self.kinds if not one.endswith("*")]
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
            raise pointed(self.text, at, f"there is no {name}", hint)
        return Node("name", kind, at, (), name)

    def _assert_kind(self, parts: Iterable[Node], kind: Kind) -> None:
        for one in parts:
            if one.kind != kind:
                problem = f"this is a {one.kind}, and a {kind} is wanted"
                raise pointed(self.text, one.at, problem)


# ── evaluation ────────────────────────────────────────────────────────────────────────────────────


def _value(node: Node, values: Mapping[str, Value | None]) -> Value | None:
    match node.does:
        case "value":
            return node.value
        case "name":
            return _fitting(values.get(str(node.value)), node.kind)
    parts = [_value(one, values) for one in node.parts]
    match node.does:
        case "either":
            return True if True in parts else None if None in parts else False
        case "both":
            return False if False in parts else None if None in parts else True
        case "null":
            return parts[0] is None
        case "null_not":
            return parts[0] is not None
        case "among" | "among_not":
            return _among(parts, wanted=node.does == "among")
    if any(one is None for one in parts):
        return None
    return OPERATORS[node.does](*parts)


def _fitting(value: Value | None, kind: Kind) -> Value | None:
    """Take a value as unknown that is not of its kind, or no number."""
    if isinstance(value, bool):
        return value if kind == "truth" else None
    if isinstance(value, int | float):
        return float(value) if kind == "number" and math.isfinite(value) else None
    return value if kind == "text" else None


def _among(parts: list[Value | None], *, wanted: bool) -> bool | None:
    first, rest = parts[0], parts[1:]
    if first is None:
        return None
    if first in [one for one in rest if one is not None]:
        return wanted
    return None if None in rest else not wanted


def _like(text: str, pattern: str) -> bool:
    """Match with % for any signs and _ for one, without regard to capitals."""
    parts = [".*" if sign == "%" else "." if sign == "_" else re.escape(sign) for sign in pattern]
    return re.fullmatch("".join(parts), text, re.IGNORECASE | re.DOTALL) is not None


def _divided(left: float, right: float) -> float | None:
    return left / right if right else None


# Any: each takes values of the kind that the reader has made sure of.
OPERATORS: dict[str, Callable[..., Value | None]] = {
    "denied": lambda one: not one,
    "like": _like,
    "=": lambda left, right: left == right,
    "!=": lambda left, right: left != right,
    "<": lambda left, right: left < right,
    "<=": lambda left, right: left <= right,
    ">": lambda left, right: left > right,
    ">=": lambda left, right: left >= right,
    "+2": lambda left, right: left + right,
    "-2": lambda left, right: left - right,
    "*2": lambda left, right: left * right,
    "/2": _divided,
    "-1": lambda one: -one,
    "+1": lambda one: one,
}  # fmt: skip
