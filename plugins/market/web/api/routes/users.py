"""Routes on people: registration, login, oneself."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Request

from market.airflow.logins import AirflowLogins
from market.people import login as password_login
from market.people import profile, registration
from market.people.schemas import (
    LoginSchema,
    PasswordSchema,
    RegistrationSchema,
    TokenSchema,
    UserSchema,
)
from market.web.api import routing, scopes
from market.web.api.caller import Caller

router = routing.router()


def _address(request: Request) -> str:
    return request.client.host if request.client else ""


@router.post(
    "/users",
    status_code=201,
    tags=["users"],
    openapi_extra=routing.described(
        RegistrationSchema, UserSchema, refuses=(409, 413, 422, 429), public=True
    ),
)
def register_user(
    request: Request, body: Annotated[dict[str, Any], routing.body(RegistrationSchema)]
) -> dict[str, Any]:
    """Make a user, with a home in HDFS and the first credits."""
    return routing.dumped(
        UserSchema, registration.register(AirflowLogins(), **body, address=_address(request))
    )


@router.post(
    "/login",
    status_code=201,
    tags=["users"],
    openapi_extra=routing.described(LoginSchema, TokenSchema, refuses=(401, 413, 422, 429), public=True),
)
def login(body: Annotated[dict[str, Any], routing.body(LoginSchema)]) -> dict[str, Any]:
    """Return a token for a username and a password."""
    return routing.dumped(TokenSchema, password_login.login(AirflowLogins(), **body))


@router.get("/users/me", tags=["users"], openapi_extra=routing.described(gives=UserSchema, scope=scopes.ANY))
def me(member: Caller) -> dict[str, Any]:
    """Return who asks."""
    return routing.dumped(UserSchema, profile.profile(member))


@router.put(
    "/users/me/password",
    tags=["users"],
    openapi_extra=routing.described(PasswordSchema, TokenSchema, refuses=(401, 413, 422, 429)),
)
def change_password(
    member: Caller, body: Annotated[dict[str, Any], routing.body(PasswordSchema)]
) -> dict[str, Any]:
    """Change one's password. All older tokens and sessions end; the answer is a new token."""
    return routing.dumped(TokenSchema, password_login.change(AirflowLogins(), member, **body))
