"""A chain of steps that do nothing, each waiting for the one before."""

import makeway as mw


@mw.step(cpus=0.1)
def first() -> int:
    """Begin."""
    return 1


@mw.step(cpus=0.1)
def more(x: int) -> int:
    """Add one."""
    return x + 1


@mw.workflow
def chain(n: int = 100) -> int:
    """Chain `n` steps."""
    x = first()
    for _ in range(n - 1):
        x = more(x)
    return x
