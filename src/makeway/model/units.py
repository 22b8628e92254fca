"""Read and write amounts as people do: sizes, times, processors."""

from __future__ import annotations

import math
import re
from fractions import Fraction

from makeway.model.resources import CPU, GPU, MEMORY, Resources


class BadAmount(ValueError):
    """An amount cannot be read; the edge that was given it makes a user's error of this."""

    def __init__(self, problem: str, where: str) -> None:
        """Take what is wrong with it, and where it stands."""
        self.problem, self.where = problem, where
        super().__init__(f"{where}: {problem}")


SIZE_UNITS = {
    "": 1, "B": 1,
    "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
    "KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40,
}  # fmt: skip
TIME_UNITS_MS = {"": 1000, "MS": 1, "S": 1000, "M": 60_000, "H": 3_600_000, "D": 86_400_000}
AMOUNT = re.compile(r"\s*([0-9]{1,30}(?:\.[0-9]{1,30})?)\s*([A-Za-z]*)\s*")

NAMES = {CPU: "cpus", GPU: "gpus", MEMORY: "memory"}

# 64 TiB, or 2,200 years: what 100,000 workers ask for together still fits into 64 bits.
AMOUNT_MAX = 2**46


def in_units(kind: str, amount: float) -> float:
    """Write an amount of a kind in people's units: processors, devices, bytes."""
    return amount / 1000 if kind in (CPU, GPU) else amount


def bytes_of(text: str | float, where: str = "memory") -> int:
    """Read `512MiB`, `4GB` or a number of bytes."""
    return _amount(text, SIZE_UNITS, where, "a size such as 512MiB or 4GB")


def ms_of(text: str | float, where: str = "time") -> int:
    """Read `10s`, `5m`, `2h`, `250ms` or a number of seconds."""
    return _amount(text, TIME_UNITS_MS, where, "a time such as 10s, 5m or 2h")


def milli_of(number: float, where: str) -> int:
    """Read a number of processors or devices; fractions are kept to a thousandth."""
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise BadAmount(f"{_said(number)} is not a number", where=where)
    if not (number == 0 or 0.001 <= number <= AMOUNT_MAX / 1000):
        raise BadAmount(
            f"{_said(number)} must be 0, or from 0.001 to {AMOUNT_MAX // 1000}", where=where
        )
    return round(number * 1000)


def size_text(number: int) -> str:
    """Write a number of bytes for a person."""
    for unit, name in ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if number >= unit:
            return f"{number / unit:.1f}".removesuffix(".0") + f" {name}"
    return f"{number} B"


WRITTEN = ((10**12, "TB"), (2**40, "TiB"), (10**9, "GB"), (2**30, "GiB"), (10**6, "MB"),
           (2**20, "MiB"), (10**3, "KB"), (2**10, "KiB"))  # fmt: skip


def written_size(number: int) -> str:
    """Write a size as a file would say it, with the largest unit that it is a whole number of."""
    for unit, name in WRITTEN:
        if number >= unit and number % unit == 0 and (unit >= 10**6 or number < 10**7):
            return f"{number // unit}{name}"
    return f"{round(number / 10**6)}MB" if number >= 10**7 else f"{number}B"


def time_text(ms: int) -> str:
    """Write a span of time for a person."""
    if ms < 59_950:  # what would be rounded to a minute is one
        return f"{ms / 1000:.1f} s"
    minutes, rest = divmod(round(ms / 1000), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"


def request(cpus: float, memory: str | float, gpus: float, where: str) -> Resources:
    """Put one worker's request together."""
    return Resources.of(
        {
            CPU: milli_of(cpus, f"{where}: cpus"),
            MEMORY: bytes_of(memory, f"{where}: memory"),
            GPU: milli_of(gpus, f"{where}: gpus"),
        }
    )


def _amount(text: str | float, units: dict[str, int], where: str, wanted: str) -> int:
    amount = _exact(text, units)
    if amount is None:
        raise BadAmount(f"{_said(text)} is not {wanted}", where=where)
    if amount > AMOUNT_MAX:
        raise BadAmount(f"{_said(text)} is more than there can be", where=where)
    return round(amount)


def _exact(text: object, units: dict[str, int]) -> Fraction | None:
    """Read a number and its unit; None if it is neither."""
    if isinstance(text, bool):
        return None
    if isinstance(text, int | float):
        # The plain number is in the unit that needs no name.
        return Fraction(text) * units[""] if 0 <= text < math.inf else None
    match = AMOUNT.fullmatch(text) if isinstance(text, str) else None
    if match is None or match[2].upper() not in units:
        return None
    return Fraction(match[1]) * units[match[2].upper()]


def _said(amount: object) -> str:
    try:
        return repr(amount)[:60]
    except ValueError:  # a whole number of thousands of digits, which Python does not write
        return "a number of thousands of digits"
