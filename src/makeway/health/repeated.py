"""Find the error that a log says again and again, whatever numbers and addresses vary in it.

A program that tries for ever to reach what is not there is alive, may even be busy, and says so in
its log. Lines are alike if they are the same but for digits and addresses. Only what speaks of an
error counts, and a measurement that is called one (`error: 0.31`) does not. A line that was not
there before, word for word and digit for digit, is news: a program that has news is at work. The
lines of a traceback, the second time, are none.

Takes:   lines of one worker, with the instant of each
Gives:   Repeated, for the error that was said most often since the last `clear`
Holds:   at most KINDS_MAX kinds of lines are remembered; the one unheard for longest goes first
"""

from __future__ import annotations

import re

import msgspec

KINDS_MAX = 64
LINES_MAX = 1_000
CHARS_MAX = 300

# A class or a level is told from a word by its capitals; of the rest no capitals are asked.
NAMED = re.compile(
    r"\b\w+(?:Error|Exception)\b(?!\s*[:=]?\s*-?[\d.])|\b(?:ERROR|FATAL|CRITICAL)\b|\bECONN[A-Z]+\b"
)
TOLD = re.compile(
    r"connection (?:was )?(?:refused|reset|closed|lost|aborted|failed|timed out)"
    r"|(?:could not|cannot|can't|failed to|unable to) (?:re)?(?:connect|reach|open|resolve)"
    r"|\btimed out\b|\bunreachable\b|no route to host|\b(?:retrying|reconnecting)\b",
    re.IGNORECASE,
)
VARIES = re.compile(r"\b0x[0-9a-f]+\b|\b[0-9a-f]{8,}\b|\d+", re.IGNORECASE)
SPACE = re.compile(r"\s+")


class Repeated(msgspec.Struct, kw_only=True):
    """An error, how often it was said, and how much news came in between."""

    text: str
    count: int
    first_ms: int
    last_ms: int
    news: int = 0


class Errors:
    """The errors of one log since it was last cleared; see the module."""

    __slots__ = ("_known", "_news", "_seen")

    def __init__(self) -> None:
        """Begin with nothing heard."""
        self._known: dict[str, tuple[Repeated, int]] = {}  # with the count of news before it
        self._seen: dict[int, None] = {}
        self._news = 0

    def hear(self, at_ms: int, line: str) -> None:
        """Take in one line."""
        kind, text = likeness(line), line.strip()[:CHARS_MAX]
        if kind is None:
            self._other(text)
            return
        known = self._known.pop(kind, None)
        if known is None:
            found, before = Repeated(text=text, count=0, first_ms=at_ms, last_ms=at_ms), self._news
        else:
            found, before = known
        found.text, found.last_ms = text, at_ms
        found.count += 1
        self._known[kind] = (found, before)
        if len(self._known) > KINDS_MAX:
            del self._known[next(iter(self._known))]

    def _other(self, text: str) -> None:
        mark = hash(text)  # shorter than the text, and of use within this process alone
        if text and mark not in self._seen:
            self._news += 1
        self._seen.pop(mark, None)
        self._seen[mark] = None
        if len(self._seen) > LINES_MAX:
            del self._seen[next(iter(self._seen))]

    def clear(self) -> None:
        """Forget what was heard: the program has come further since."""
        self._known.clear()
        self._seen.clear()
        self._news = 0

    def worst(self) -> Repeated | None:
        """Give the error that was said most often; of several the first."""
        if not self._known:
            return None
        found, before = max(self._known.values(), key=lambda known: known[0].count)
        found.news = self._news - before
        return found


def likeness(line: str) -> str | None:
    """Give what a line has in common with those that are alike; None if it speaks of no error."""
    head = line[:CHARS_MAX]
    if NAMED.search(head) is None and TOLD.search(head) is None:
        return None
    return SPACE.sub(" ", VARIES.sub("#", head)).strip()
