"""Who asks: the member behind a request's token."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Request

from market.airflow import logins
from market.airflow.tokens import COOKIE
from market.kit.errors import NotLoggedInError, ScopeMissingError
from market.people import members, program_tokens
from market.people.member import Member
from market.web.api import scopes

_HARMLESS = frozenset({"GET", "HEAD", "OPTIONS"})


def current(request: Request) -> Member:
    """Return who asks, if his token is one for this route.

    Raises NotLoggedInError without a token or with one that is not valid any more, ScopeMissingError.
    """
    member, granted = known(request), request.state.market_scopes
    if granted is not None:
        taken = scopes.taken(request.scope.get("route"))
        if not granted & taken:
            raise ScopeMissingError(taken)
    return member


def known(request: Request) -> Member:
    """Return who asks, by the header `Authorization: Bearer ...`, else by the cookie of Airflow's pages.

    Raises NotLoggedInError. A program is never an administrator, whoever made its token.
    """
    noted: Member | None = getattr(request.state, "market_member", None)
    if noted is not None:
        return noted
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    if not kind:
        token = request.cookies.get(COOKIE, "")
        if token and request.method not in _HARMLESS and not _same_origin(request):
            raise NotLoggedInError(
                "A cookie alone is enough only for requests of this site's own pages. "
                "Send the token in the header Authorization."
            )
    elif kind.lower() != "bearer":
        raise NotLoggedInError("Send the token of POST /login as: Authorization: Bearer TOKEN.")
    if not token.strip():
        raise NotLoggedInError("Log in with POST /login, and send the token as: Authorization: Bearer TOKEN.")
    member, granted = _speaker(token.strip(), is_sent=bool(kind))
    if member is None:
        raise NotLoggedInError("This login has no account of the market. Register one with POST /users.")
    request.state.market_member, request.state.market_scopes = member, granted
    return member


def _speaker(token: str, is_sent: bool) -> tuple[Member | None, frozenset[str] | None]:
    """Return the member that a token speaks for, and for a program's its scopes: those are sent, never kept.

    Raises NotLoggedInError.
    """
    if not (is_sent and token.startswith(program_tokens.PREFIX)):
        return members.of_login(logins.of_token(token)), None
    login, granted = logins.of_program(token)
    member = members.of_login(login)
    return member and replace(member, is_admin=False), granted


def _same_origin(request: Request) -> bool:
    """Tell whether a browser says that a page of this very site sends the request."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site == "same-origin"
    origin = request.headers.get("Origin") or request.headers.get("Referer", "")
    return bool(origin) and urlsplit(origin).netloc == request.headers.get("Host")


Caller = Annotated[Member, Depends(current)]


def admin(member: Caller) -> Member:
    """Return who asks if he is an administrator. Raises RoleMissingError."""
    member.require_admin()
    return member


AdminCaller = Annotated[Member, Depends(admin)]
