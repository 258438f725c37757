"""Who asks: the member behind a request's token."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Request

from market.airflow import logins
from market.airflow.tokens import COOKIE
from market.kit.errors import NotLoggedInError, RoleMissingError
from market.people import members
from market.people.member import Member

_HARMLESS = frozenset({"GET", "HEAD", "OPTIONS"})


def current(request: Request) -> Member:
    """Return who asks, by the header `Authorization: Bearer ...`, else by the cookie of Airflow's pages.

    Raises NotLoggedInError without a token or with one that is not valid any more.
    """
    known: Member | None = getattr(request.state, "market_member", None)
    if known is not None:
        return known
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
    member = members.of_login(logins.of_token(token.strip()))
    if member is None:
        raise NotLoggedInError("This login has no account of the market. Register one with POST /users.")
    request.state.market_member = member
    return member


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
    if not member.is_admin:
        raise RoleMissingError("This needs the role Admin.")
    return member


AdminCaller = Annotated[Member, Depends(admin)]
