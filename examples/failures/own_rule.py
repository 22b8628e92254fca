"""A licence that is taken, and a bug that is none: what your own rules do about failures.

    makeway run examples/failures/own_rule.py
    MAKEWAY_CONFIG=examples/failures/own_rules.toml makeway run examples/failures/own_rule.py

The step `solve` knows itself what its licence server means. `render` needs the configuration, which
knows a line of a log that makeway does not. `stubborn` is stopped, although it has retries left.
"""

from __future__ import annotations

import sys

import makeway as mw


class LicenceTakenError(RuntimeError):
    """All licences are taken at the moment."""


@mw.step(on_failure=[mw.Rule(on=LicenceTakenError, do=mw.Retry(3, after="0.2s", memory="300MB"))])
def solve() -> int:
    """Get a licence with the second attempt."""
    if mw.current.attempt < 2:
        raise LicenceTakenError("42 of 42")
    return mw.current.attempt


@mw.step
def render() -> int:
    """Get a seat with the second attempt, and say only in the log what is wrong with the first."""
    if mw.current.attempt < 2:
        print("renderd: no seat is free", flush=True)
        sys.exit(9)
    return mw.current.attempt


@mw.step(retries=5, on_failure=mw.Rule(on="last.exit_code = 7", do=mw.Stop(), hint="ask Ada"))
def stubborn() -> int:
    """Fail in a way of which its author knows that another attempt does not help."""
    sys.exit(7)


@mw.workflow
def flow() -> list[int]:
    """Run all three, none of which waits for another."""
    return [solve(), render(), stubborn()]
