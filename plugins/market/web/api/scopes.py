"""Which tokens for programs a route takes: those with its scope.

Without a word a route that only reads takes the scope `read`, and any other no such token at all: whoever
adds one decides. What only reads of projects takes `read` as well as `project`. What a person does with his
password, his tokens, or as an administrator takes none either.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from starlette.routing import BaseRoute

from market.kit.vocabulary import FILES, LEND, PROJECT, READ, SUBMIT, TOKEN_SCOPES

__all__ = ["ANY", "FILES", "LEND", "LOGIN", "PROJECT", "READ", "SUBMIT", "taken"]

ANY = "any"  # every token: who it speaks for
LOGIN = ""  # none: only a login
_KNOWN = {*TOKEN_SCOPES, ANY, LOGIN}


def checked(scope: str | None) -> str | None:
    """Return a scope as a route names it. Raises ValueError for another word."""
    if scope is not None and scope not in _KNOWN:
        raise ValueError(f"there is no scope {scope}")
    return scope


def taken(route: BaseRoute | None) -> frozenset[str]:
    """Return the scopes of which a route takes a token with any; none where only a login will do."""
    extra: dict[str, Any] = getattr(route, "openapi_extra", None) or {}
    methods: Iterable[str] = getattr(route, "methods", None) or ()
    scope: str | None = extra.get("scope")
    reads = "GET" in methods
    if scope is None:
        return frozenset({READ} if reads else ())
    if scope == ANY:
        return frozenset(TOKEN_SCOPES)
    if scope == PROJECT and reads:
        return frozenset({PROJECT, READ})
    return frozenset({scope} - {LOGIN})
