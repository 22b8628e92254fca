"""Read a search: `metrics.accuracy > 0.9 AND (params.name = 'cnn' OR NOT tags.old IS NULL)`.

It is what MLflow reads, and more: OR, NOT and parentheses; numbers that compare as numbers; sums of
a metric (`metrics.loss.min`); names in backticks or double quotes, with any character in them; and
what went wrong (`failure.cause`), in which step (`steps.name`), with which artifacts.

Takes:   text  at most 10 000 characters; empty means everything
Gives:   a Query: a tree of Compare, And, Or and Not; each Compare knows where it stands
Raises:  InvalidInput: with the text, a caret under the place, and the nearest name that is valid
Holds:   a tree is at most 200 deep, whatever the text
Source:  the filter syntax of MLflow's search_runs
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec

from makeway.errors import InvalidInput

if TYPE_CHECKING:
    from lark import Lark
    from lark.exceptions import UnexpectedInput

CHARACTERS_MAX = 10_000
NESTED_MAX = 200
AGGREGATES = ("min", "max", "last", "first", "mean")
PREFIXES = (
    *("metrics", "params", "tags", "attributes", "datasets"),
    *("steps", "failure", "artifacts"),
)
# As MLflow has them, and the singular of each.
OTHER_NAMES = {
    "metric": "metrics", "param": "params", "parameter": "params", "parameters": "params",
    "tag": "tags", "attribute": "attributes", "attr": "attributes", "run": "attributes",
    "dataset": "datasets", "step": "steps", "failures": "failure", "artifact": "artifacts",
}  # fmt: skip

GRAMMAR = r"""
start: [_or]
_or: either | _and
_and: both | _not
either: _and (_OR _and)+
both: _not (_AND _not)+
_not: negation | "(" _or ")" | _comparison
negation: _NOT _not
_comparison: compare | among | among_not | like | like_not | null | null_not
compare: name OPERATOR _value
among: name _IN "(" _value ("," _value)* ")"
among_not: name _NOT _IN "(" _value ("," _value)* ")"
like: name LIKE _text
like_not: name _NOT LIKE _text
null: name _IS _NULL
null_not: name _IS _NOT _NULL
name: _part ("." _part)*
_part: WORD | TICKED | DOUBLED
_value: NUMBER | TRUTH | _text
_text: SINGLE | DOUBLED
OPERATOR: "!=" | "<=" | ">=" | "=" | "<" | ">"
LIKE.3: /i?like\b/i
_OR.3: /or\b/i
_AND.3: /and\b/i
_NOT.3: /not\b/i
_IN.3: /in\b/i
_IS.3: /is\b/i
_NULL.3: /null\b/i
TRUTH.3: /(true|false)\b/i
NUMBER.2: /[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?(?![\w.])/
WORD: /\w[\w\/@:-]*/
TICKED: /`([^`]|``)+`/
DOUBLED: /"([^"]|"")*"/
SINGLE: /'([^']|'')*'/
%ignore /\s+/
"""
# What the reader may have meant where something else stands, by the names of the grammar.
EXPECTED = {
    "OPERATOR": "an operator such as = or >", "WORD": "a name", "NUMBER": "a value",
    "_AND": "AND or OR", "RPAR": "a closing parenthesis", "LPAR": "an opening parenthesis",
    "_NULL": "NULL", "_IN": "IN", "SINGLE": "a text in quotes",
}  # fmt: skip

Value = float | bool | str


class Compare(msgspec.Struct, frozen=True, kw_only=True):
    """One condition; `operator` is one of = != < <= > >= LIKE ILIKE IN NULL.

    `values` holds one value, several of an IN, or none. `at` is where its name begins in the text,
    `value_at` where its first value does.
    """

    prefix: str
    name: str
    operator: str
    values: tuple[Value, ...] = ()
    aggregate: str | None = None
    at: int = 0
    value_at: int = 0


class And(msgspec.Struct, frozen=True):
    """All of these hold."""

    terms: tuple[Query, ...]


class Or(msgspec.Struct, frozen=True):
    """At least one of these holds."""

    terms: tuple[Query, ...]


class Not(msgspec.Struct, frozen=True):
    """The term does not hold."""

    term: Query


Query = Compare | And | Or | Not


class Name(msgspec.Struct, frozen=True, kw_only=True):
    """A name with its prefix, as conditions, orders and columns have it."""

    prefix: str
    name: str
    aggregate: str | None = None
    at: int = 0


def parse(text: str) -> Query | None:
    """Read a search; None stands for everything."""
    if len(text) > CHARACTERS_MAX:
        problem = f"it has {len(text)} characters; {CHARACTERS_MAX} are the most"
        raise InvalidInput(problem, where="query")
    _check_depth(text)
    found = _read(text, "start")
    assert found is None or isinstance(found, Query)
    return found


def parse_name(text: str) -> Name:
    """Read one name, such as `metrics.loss.min`."""
    found = _read(text, "name")
    assert isinstance(found, Name)
    return found


def wrong(text: str, at: int, problem: str, hint: str = "") -> InvalidInput:
    """Make the error that shows where in a search something is wrong."""
    line = text.count("\n", 0, at)
    begin = text.rfind("\n", 0, at) + 1
    shown = text.split("\n")[line]
    caret = " " * (at - begin) + "^"
    return InvalidInput(f"{problem}\n  {shown}\n  {caret}", where=f"query:{at + 1}", hint=hint)


def nearest(name: str, known: Iterable[str]) -> str:
    """Say which of these names is nearest, or which there are."""
    names = list(known)
    lower = {one.lower(): one for one in names}
    found = difflib.get_close_matches(name.lower(), lower, n=1, cutoff=0.5)
    if found:
        return f"the nearest is {lower[found[0]]}"
    return f"there are {', '.join(names[:20])}" if names else ""


def compares(query: Query | None) -> list[Compare]:
    """Give every condition of a search, in order."""
    match query:
        case None:
            return []
        case Compare():
            return [query]
        case Not(term):
            return compares(term)
        case And(terms) | Or(terms):
            return [one for term in terms for one in compares(term)]


def _check_depth(text: str) -> None:
    bare = re.sub(r"'[^']*'|\"[^\"]*\"|`[^`]*`", "", text)
    depth = bare.count("(") + len(re.findall(r"\bnot\b", bare, re.IGNORECASE))
    if depth > NESTED_MAX:
        problem = f"it has {depth} parentheses and NOTs; {NESTED_MAX} are the most"
        raise InvalidInput(problem, where="query")


def _read(text: str, start: str) -> object:
    from lark.exceptions import UnexpectedInput

    parser = _parser()
    try:
        tree = parser.parse(text, start=start)
    except UnexpectedInput as error:
        raise _unexpected(text, error) from None
    reader = _Reader(text)
    return reader.name(tree) if start == "name" else reader.whole(tree)


@cache
def _parser() -> Lark:
    from lark import Lark  # 60 ms, and another 20 for the grammar

    return Lark(GRAMMAR, parser="lalr", start=["start", "name"], maybe_placeholders=False)


def _unexpected(text: str, error: UnexpectedInput) -> InvalidInput:
    at: int | None = getattr(error, "pos_in_stream", None)  # its stub knows None alone
    if at is None or at < 0 or getattr(getattr(error, "token", None), "type", "") == "$END":
        at = len(text)
    expected: object = getattr(error, "expected", None) or getattr(error, "allowed", None)
    wanted = set(expected) if isinstance(expected, set | frozenset | list) else set[str]()
    said = [words for name, words in EXPECTED.items() if name in wanted]
    found = "the end" if at >= len(text) else repr(text[at : at + 20].split(maxsplit=1)[0])
    if text[at : at + 1] in {"'", '"', "`"} and text.count(text[at], at) % 2:
        return wrong(text, at, "a quote that is opened here is not closed")
    problem = f"{' or '.join(said) or 'something else'} was expected, not {found}"
    return wrong(text, at, problem, _meant(text, at, wanted))


def _meant(text: str, at: int, wanted: set[str]) -> str:
    if text[max(at - 1, 0) : at + 1] == "==":
        return "equal is written ="
    if "NUMBER" in wanted and re.match(r"\w", text[at:]):
        return "a text stands in single quotes: 'like this'"
    word = re.match(r"\w+", text[at:])
    words = [
        name.strip("_") for name in ("_AND", "_OR", "_NOT", "_IN", "_IS", "LIKE") if name in wanted
    ]
    return nearest(word[0], words) if word and words else ""


class _Reader:
    """Turn the parser's tree into ours; its depth is bounded."""

    def __init__(self, text: str) -> None:
        self.text = text

    def whole(self, tree: Any) -> Query | None:  # noqa: ANN401 - lark's tree
        return self.query(tree.children[0]) if tree.children else None

    def query(self, tree: Any) -> Query:  # noqa: ANN401 - lark's tree
        parts, kind = tree.children, str(tree.data)
        match kind:
            case "either":
                return Or(tuple(map(self.query, parts)))
            case "both":
                return And(tuple(map(self.query, parts)))
            case "negation":
                return Not(self.query(parts[0]))
        name = self.name(parts[0])
        match kind:
            case "compare":
                return _compare(name, str(parts[1]), parts[2:])
            case "among":
                return _compare(name, "IN", parts[1:])
            case "among_not":
                return Not(_compare(name, "IN", parts[1:]))
            case "like":
                return _compare(name, parts[1].upper(), parts[2:])
            case "like_not":
                return Not(_compare(name, parts[1].upper(), parts[2:]))
            case "null":
                return _compare(name, "NULL", ())
        return Not(_compare(name, "NULL", ()))

    def name(self, tree: Any) -> Name:  # noqa: ANN401 - lark's tree
        parts = list(tree.children)
        first, at = parts[0], parts[0].start_pos
        if len(parts) == 1:  # as MLflow has it: what has no prefix is an attribute
            return Name(prefix="attributes", name=_unquoted(first), at=at)
        prefix = OTHER_NAMES.get(first.lower(), first.lower())
        if prefix not in PREFIXES:
            problem = f"{str(first)!r} is no prefix of a name"
            raise wrong(self.text, at, problem, nearest(first, PREFIXES))
        rest, aggregate = parts[1:], None
        if prefix == "metrics" and len(rest) > 1 and rest[-1] in AGGREGATES:
            aggregate = str(rest.pop())
        return Name(prefix=prefix, name=".".join(map(_unquoted, rest)), aggregate=aggregate, at=at)


def _compare(name: Name, operator: str, values: Sequence[Any]) -> Compare:
    return Compare(
        prefix=name.prefix,
        name=name.name,
        aggregate=name.aggregate,
        operator=operator,
        values=tuple(READ[one.type](str(one)) for one in values),
        at=name.at,
        value_at=values[0].start_pos if values else name.at,
    )


def _unquoted(token: str) -> str:
    quote = token[0]
    return token[1:-1].replace(quote * 2, quote) if quote in "'\"`" else str(token)


READ: dict[str, Callable[[str], Value]] = {
    "NUMBER": float,
    "TRUTH": lambda text: text.lower() == "true",
    "SINGLE": _unquoted,
    "DOUBLED": _unquoted,
}
