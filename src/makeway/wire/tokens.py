"""Say what tokens there are; the secret itself is shown once, when it is made."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Scope(StrEnum):
    """What a token is good for; each includes those before it, but for other people's things.

    read     look at everything
    submit   bring jobs into one's own queues, and act on one's own jobs
    operate  act on anybody's jobs, drain nodes
    admin    queues, policy, tokens, the administrators' classes, the service itself
    """

    READ = "read"
    SUBMIT = "submit"
    OPERATE = "operate"
    ADMIN = "admin"


class TokenView(msgspec.Struct, frozen=True, kw_only=True):
    """A token without its secret."""

    id: str
    name: str
    user: str
    scopes: tuple[Scope, ...]
    created_s: float
    expires_s: float | None = None
    revoked_s: float | None = None
    last_used_s: float | None = None


class TokenRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What kind of token is wanted; `lasts` is a span such as `30d`, absent: until it is revoked."""

    user: str
    name: str = ""
    scopes: tuple[Scope, ...] = (Scope.READ, Scope.SUBMIT)
    lasts: str | None = None


class TokenMade(msgspec.Struct, frozen=True, kw_only=True):
    """A new token with its secret, which nobody can be told again."""

    token: str
    view: TokenView


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks, and what for they may."""

    user: str
    scopes: frozenset[Scope]

    def may(self, scope: Scope) -> bool:
        """Say whether a scope is there; administrators have all of them."""
        return scope in self.scopes or Scope.ADMIN in self.scopes
