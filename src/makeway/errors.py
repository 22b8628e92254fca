"""The caller's mistakes: every exception that makeway raises at its edge.

    MakewayError                  the base; `exit_code` is the command's
    ├── InvalidInput        2     something given to makeway is wrong; says where and what
    │   └── InvalidWorkflow 2     a workflow cannot be built or run as it is written
    ├── NotFound            3     no such run, step, job or file
    ├── NotAllowed          4     whoever asks may not do that
    ├── Conflict            7     it clashes with what is there already
    ├── NeverFits           8     a job that no cluster like this one could ever run
    ├── Unavailable         1     what is needed is not there (a store, a process)
    │   └── Unreachable     9     the service does not answer
    ├── Permanent                 raised by a step: do not try again
    ├── Retry                     raised by a step: try again, after so long
    ├── OutOfMemory               raised by a step: it needs more memory
    └── DataLost                  raised by a step: an input is gone, and has to be made again

The world's failures are events with a cause, and our own bugs are assertions: neither is here.
"""

from __future__ import annotations


class MakewayError(Exception):
    """Something that makeway was asked for could not be done."""

    exit_code = 1

    def __init__(self, problem: str, *, where: str = "", hint: str = "") -> None:
        """Take what is wrong, where it stands (`file:line`, a name), and what to do about it."""
        self.problem, self.where, self.hint = problem, where, hint
        super().__init__(f"{where}: {problem}" if where else problem)


class InvalidInput(MakewayError):
    """A value, a file or an option is wrong."""

    exit_code = 2


class InvalidWorkflow(InvalidInput):
    """A workflow cannot be built or run as it is written."""


class NotFound(MakewayError):
    """There is no such thing."""

    exit_code = 3


class NotAllowed(MakewayError):
    """Whoever asks may not do that."""

    exit_code = 4


class Conflict(MakewayError):
    """It clashes with what is there already."""

    exit_code = 7


class NeverFits(MakewayError):
    """A job asks for what no cluster like this one has, or more than its limits ever allow."""

    exit_code = 8


class Unavailable(MakewayError):
    """What is needed is not there."""


class Unreachable(Unavailable):
    """The service does not answer."""

    exit_code = 9


class Permanent(MakewayError):
    """Raise it in a step: the failure is permanent, and another attempt would repeat it."""


class Retry(MakewayError):
    """Raise it in a step: the failure is temporary, try again after so long (seconds or "5m").

    In `mw.Rule(on=…, do=mw.Retry(5, memory_factor=2))` it says how often, and with what changes.
    """

    def __init__(
        self, problem: str | int = "", *, after: str | float = 0, **changes: object
    ) -> None:
        """Take why, and how long to wait at least; of a rule how many times, and what changes."""
        self.changes = {**changes, **({"after": after} if after else {})}
        if isinstance(problem, int):
            self.changes, problem = {"times": problem, **self.changes}, ""
        self.after_s = _seconds(after)
        super().__init__(f"retry after {self.after_s:g} s" + (f": {problem}" if problem else ""))


def _seconds(span: str | float) -> float:
    """Read `30`, `"30s"`, `"5m"`, `"2h"`; what is none of these waits as long as usual."""
    unit = {"s": 1, "m": 60, "h": 3600}.get(str(span)[-1:], 0)
    try:
        seconds = float(str(span)[:-1]) * unit if unit else float(span)
    except ValueError:
        return 0.0
    return min(max(seconds, 0.0), 999_999.0) if seconds == seconds else 0.0  # noqa: PLR0124 - NaN


class OutOfMemory(MakewayError):
    """Raise it in a step: it did not have enough memory, and would succeed with more."""


class DataLost(MakewayError):
    """Raise it in a step: this artifact (its name, or what it is) is gone; who made it runs again."""

    def __init__(self, artifact: object, problem: str = "") -> None:
        """Take what is gone, and why."""
        self.artifact = str(getattr(artifact, "name", artifact))
        super().__init__(f"{self.artifact} is lost" + (f": {problem}" if problem else ""))
