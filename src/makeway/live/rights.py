"""Say who may do what: whose queues, whose jobs, which classes.

A person's own queues are those that bear their name somewhere in their path (`lab/ada`, `ada/big`)
and those that name them as `users`, with what is below, unless a queue below names others; `*` is
everybody. Who may operate or
administer may use every queue, but the administrators' classes are the administrators' alone.

Raises:  NotAllowed
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from makeway.errors import NotAllowed
from makeway.model.cluster import lineage_of
from makeway.model.job import SYSTEM_MIN
from makeway.wire.tokens import Caller, Scope

EVERYBODY = "*"
Owners = Mapping[str, Sequence[str]]


def assert_may(caller: Caller, scope: Scope) -> None:
    """Refuse who has not got this scope."""
    if not caller.may(scope):
        problem = f"this needs the scope {scope.value}, and {caller.user}'s token has it not"
        raise NotAllowed(problem, hint="ask an administrator for such a token")


def assert_owns(caller: Caller, user: str, what: str) -> None:
    """Refuse who acts on what is another person's, unless it is their duty."""
    if caller.user != user and not caller.may(Scope.OPERATE):
        problem = f"it is {user}'s, and {caller.user} may act only on their own"
        raise NotAllowed(problem, where=what, hint="ask them, or somebody with the scope operate")


def assert_may_use(caller: Caller, queue: str, priority: int, owners: Owners) -> None:
    """Refuse a queue that is not the caller's, and a class that is for administrators."""
    if priority >= SYSTEM_MIN and not caller.may(Scope.ADMIN):
        problem = f"classes of {SYSTEM_MIN} and more are for administrators"
        raise NotAllowed(problem, where="class", hint="use high, medium or low")
    if caller.may(Scope.OPERATE) or uses(caller.user, queue, owners):
        return
    own = ", ".join(sorted(path for path in owners if uses(caller.user, path, owners)))
    hint = f"you may use {own}" if own else f"a queue that bears your name is yours: {caller.user}"
    raise NotAllowed(f"{caller.user} may not submit to queue {queue}", where="queue", hint=hint)


def uses(user: str, queue: str, owners: Owners) -> bool:
    """Say whether a queue is one of a person's own."""
    if user in queue.split("/"):
        return True
    named = next((owners[path] for path in lineage_of(queue) if path in owners), ())
    return user in named or EVERYBODY in named


def own_queue(user: str, declared: Iterable[str], owners: Owners) -> str:
    """Choose the queue of who names none: the declared one of their name, or one just for them."""
    named = sorted(path for path in declared if path.rpartition("/")[2] == user)
    if named:
        return named[0]
    open_to = sorted(path for path in owners if path and uses(user, path, owners))
    return open_to[0] if open_to else user
