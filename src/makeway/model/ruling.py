"""Hold what people add to the rules of failures: patterns of logs, and what is done about a failure.

Plain data, as the configuration and the log have it. What a pattern and a rule mean is said by
`health.rules.own` and `health.ruled`; who reads them makes sure that they are well-formed.
"""

from __future__ import annotations

import msgspec

from makeway.model.record import Cause, CauseClass

ROLES = ("root", "cascade", "confirmation", "advice")
ACTIONS = ("retry", "stop")
RETRIES_MAX = 20  # more attempts than that are never made
FACTOR_MAX = 100.0

# What a condition may ask of the attempt that ended: times in seconds, sizes in bytes.
NUMBERS = (
    "attempt", "failures", "same", "exit_code", "signal", "errno", "duration", "memory_limit",
    "memory_peak", "limit", "rss_peak", "progress", "checkpoint", "rank",
)  # fmt: skip
TEXTS = ("cause", "class", "confidence", "exception", "message", "node", "outlook")
KINDS = {
    **{f"last.{name}": "number" for name in NUMBERS},
    **{f"last.{name}": "text" for name in TEXTS},
    "last.metrics.*": "number",
}


class LogPattern(msgspec.Struct, frozen=True, kw_only=True):
    """A way in which something is said: what it means, and a line that it is to be found in.

    `where` is where it was written.
    """

    pattern: str
    cause: Cause | None = None
    role: str = "root"
    example: str = ""
    hint: str = ""
    where: str = ""


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """What is done about failures that match all that it names; the first that matches counts.

    causes, classes  any of these
    exceptions       the name of an exception or of a base of it, any of these
    exit_codes       any of these, as the process or a shell gives them
    when             a condition on the attempt that ended (`expression`)
    times            so many retries for one cause; None: what the ledger allows, at least one
    memory_bytes, memory_factor   what a worker gets next, or how many times what it had
    exclude_nodes    the next attempt avoids the machine of this failure
    after_ms         so long before the next attempt; None: as long as without the rule
    """

    name: str = ""
    where: str = ""
    causes: tuple[Cause, ...] = ()
    classes: tuple[CauseClass, ...] = ()
    exceptions: tuple[str, ...] = ()
    exit_codes: tuple[int, ...] = ()
    when: str = ""
    action: str = "stop"
    times: int | None = None
    memory_bytes: int | None = None
    memory_factor: float | None = None
    exclude_nodes: bool = False
    after_ms: int | None = None
    hint: str = ""

    @property
    def called(self) -> str:
        """Name it in a sentence: by its name, and where it was written."""
        name = f" {self.name}" if self.name else ""
        place = self.where.rpartition("/")[2]
        return f"rule{name} ({place})" if place else f"rule{name}"


class FailureRules(msgspec.Struct, frozen=True, kw_only=True):
    """The patterns and rules of a configuration, in their order."""

    patterns: tuple[LogPattern, ...] = ()
    rules: tuple[Rule, ...] = ()
