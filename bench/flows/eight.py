"""Eight steps that do nothing: a fan-out of six between a first and a last one."""

import makeway as mw


@mw.step(cpus=0.1)
def first() -> int:
    """Begin."""
    return 1


@mw.step(cpus=0.1)
def more(x: int) -> int:
    """Add one."""
    return x + 1


@mw.step(cpus=0.1)
def total(xs: list[int]) -> int:
    """Add up."""
    return sum(xs)


@mw.workflow
def eight() -> int:
    """Fan out and in."""
    a = first()
    return total([more(a) for _ in range(6)])
