"""Say how a browser signs in: it hands over its token once and gets a cookie for it."""

from __future__ import annotations

import msgspec


class SignIn(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The token that a cookie is wanted for."""

    token: str
