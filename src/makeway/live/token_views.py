"""List, make and revoke tokens for a caller.

Tokens are made by administrators for anybody, and by people for themselves with what they may do.
"""

from __future__ import annotations

from collections.abc import Sequence

from makeway.errors import InvalidInput, NotAllowed
from makeway.live.behind import Behind
from makeway.model.units import BadAmount, ms_of
from makeway.store.tokens import Token, TokenWanted, list_tokens, make_token, revoke_token
from makeway.wire.tokens import Caller, Scope, TokenMade, TokenRequest, TokenView


def tokens_of(service: Behind, caller: Caller) -> Sequence[TokenView]:
    """List tokens: all for administrators, else one's own."""
    user = None if caller.may(Scope.ADMIN) else caller.user
    return [_view(token) for token in list_tokens(service.database, user)]


def make(service: Behind, caller: Caller, wanted: TokenRequest) -> TokenMade:
    """Make a token: an administrator any, others one for themselves with what they may do."""
    more = [scope for scope in wanted.scopes if not caller.may(scope)]
    if (wanted.user != caller.user or more) and not caller.may(Scope.ADMIN):
        problem = f"{caller.user} may make tokens only for themselves, with their own scopes"
        raise NotAllowed(problem, hint="ask an administrator")
    now_ms, until_ms = service.now_ms(), None
    if wanted.lasts is not None:
        try:
            until_ms = now_ms + ms_of(wanted.lasts, "lasts")
        except BadAmount as bad:
            raise InvalidInput(bad.problem, where=bad.where) from None
    asked = TokenWanted(
        user=wanted.user,
        name=wanted.name,
        scopes=tuple(scope.value for scope in wanted.scopes),
        expires_at_ms=until_ms,
    )
    token, text = make_token(service.database, asked, now_ms)
    return TokenMade(token=text, view=_view(token))


def revoke(service: Behind, caller: Caller, token: str) -> TokenView:
    """Make a token worth nothing: one's own, or for administrators any."""
    own = [one.id for one in tokens_of(service, caller)]
    if token not in own and not caller.may(Scope.ADMIN):
        raise NotAllowed(f"{caller.user} has no such token", where=f"token {token}")
    return _view(revoke_token(service.database, token, service.now_ms()))


def _view(token: Token) -> TokenView:
    def seconds(at_ms: int | None) -> float | None:
        return None if at_ms is None else at_ms / 1000

    return TokenView(
        id=token.id, name=token.name, user=token.user,
        scopes=tuple(Scope(one) for one in token.scopes), created_s=token.created_at_ms / 1000,
        expires_s=seconds(token.expires_at_ms), revoked_s=seconds(token.revoked_at_ms),
        last_used_s=seconds(token.last_used_at_ms),
    )  # fmt: skip
