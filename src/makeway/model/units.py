"""Read and write amounts as people do: sizes, times, processors."""

from __future__ import annotations

import re

from makeway.errors import InvalidInput
from makeway.model.resources import CPU, GPU, MEMORY, Resources

SIZE_UNITS = {
    "": 1, "B": 1,
    "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
    "KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40,
}  # fmt: skip
TIME_UNITS_MS = {"": 1000, "MS": 1, "S": 1000, "M": 60_000, "H": 3_600_000, "D": 86_400_000}
AMOUNT = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*")


def bytes_of(text: str | float, where: str = "memory") -> int:
    """Read `512MiB`, `4GB` or a number of bytes."""
    return _amount(text, SIZE_UNITS, where, "a size such as 512MiB or 4GB")


def ms_of(text: str | float, where: str = "time") -> int:
    """Read `10s`, `5m`, `2h`, `250ms` or a number of seconds."""
    return _amount(text, TIME_UNITS_MS, where, "a time such as 10s, 5m or 2h")


def milli_of(number: float, where: str) -> int:
    """Read a number of processors or devices; fractions are kept to a thousandth."""
    milli = round(number * 1000)
    if milli < 0 or (number > 0 and milli == 0):
        raise InvalidInput(f"{number!r} must be 0 or at least 0.001", where=where)
    return milli


def size_text(number: int) -> str:
    """Write a number of bytes for a person."""
    for unit, name in ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if number >= unit:
            return f"{number / unit:.1f} {name}".replace(".0 ", " ")
    return f"{number} B"


def time_text(ms: int) -> str:
    """Write a span of time for a person."""
    seconds = ms / 1000
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
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
    match = AMOUNT.fullmatch(str(text))
    if match is None or match[2].upper() not in units:
        raise InvalidInput(f"{text!r} is not {wanted}", where=where)
    return round(float(match[1]) * units[match[2].upper()])
