"""Keep the policies that the fair one is compared with, and find any of them by its name.

`fifo` is the baseline: strictly by submission, and whoever does not fit holds up all behind it, also
those that would fit. `fit` goes by submission too, but passes over what does not fit. Neither knows
classes or shares.

Takes:   snapshot, rules   as `schedule`, of which these are rivals
Gives:   Plan with one decision for every waiting job
Raises:  InvalidInput from `policy_named` alone, with the names that there are
Holds:   fifo: nothing starts that was submitted after something that waits for room ·
         fit: no waiting job fits what stays free
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from makeway.errors import InvalidInput
from makeway.policy.cycle import Cycle
from makeway.policy.explain import no_room, reserved
from makeway.policy.order import submission
from makeway.policy.plan import Plan
from makeway.policy.schedule import USUAL, schedule
from makeway.policy.snapshot import Rules, Snapshot

Policy = Callable[[Snapshot, Rules], Plan]


def fifo(snapshot: Snapshot, rules: Rules = USUAL) -> Plan:  # noqa: ARG001 - it has no settings
    """Start in the order of submission, up to the first job that has no room."""
    cycle = Cycle(snapshot)
    for ask in sorted(cycle.asks, key=submission):
        if not cycle.try_start(ask) and not cycle.never(ask.shape):
            break
    left = sorted(cycle.left(), key=submission)
    if left:
        head, *others = left
        cycle.hold(head, no_room(head.shape, cycle.ledger))
        cycle.hold_all(others, lambda shape: reserved(shape, head))
    return cycle.plan()


def fit(snapshot: Snapshot, rules: Rules = USUAL) -> Plan:  # noqa: ARG001 - it has no settings
    """Start in the order of submission whatever has room."""
    cycle = Cycle(snapshot)
    for ask in sorted(cycle.asks, key=submission):
        cycle.try_start(ask)
    cycle.hold_all(cycle.left(), lambda shape: no_room(shape, cycle.ledger))
    return cycle.plan()


POLICIES: Mapping[str, Policy] = {"fair": schedule, "fifo": fifo, "fit": fit}


def policy_named(name: str) -> Policy:
    """Find a policy by its name."""
    if name not in POLICIES:
        raise InvalidInput(f"no policy is called {name!r}; there are {', '.join(sorted(POLICIES))}")
    return POLICIES[name]
