"""Find the policy that the settings name, and let it decide."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from makeway.errors import InvalidInput
from makeway.policy.plan import Plan
from makeway.policy.rivals import POLICIES as RIVALS
from makeway.policy.schedule import schedule
from makeway.policy.snapshot import Snapshot

Policy = Callable[[Snapshot], Plan]

POLICIES: Mapping[str, Policy] = {"fair": schedule, **RIVALS}


def decide(snapshot: Snapshot) -> Plan:
    """Let the policy of the snapshot's rules decide."""
    return policy_named(snapshot.rules.name)(snapshot)


def policy_named(name: str) -> Policy:
    """Find a policy by its name."""
    if name not in POLICIES:
        raise InvalidInput(f"no policy is called {name!r}; there are {', '.join(sorted(POLICIES))}")
    return POLICIES[name]
