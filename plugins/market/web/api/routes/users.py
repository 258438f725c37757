"""Routes on people: registration, login, oneself; for administrators, everybody."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Request

from market.administration import accounts, deletion, users
from market.administration.schemas import ReasonSchema, SuspensionSchema
from market.airflow.logins import AirflowLogins
from market.kit.paging import Page
from market.people import login as password_login
from market.people import profile, registration
from market.people.schemas import (
    DeactivatedSchema,
    DeactivationSchema,
    DeletionAskedSchema,
    DeletionSchema,
    LoginSchema,
    PasswordSchema,
    RegistrationSchema,
    TokenSchema,
    UserSchema,
)
from market.web.api import query, routing, scopes
from market.web.api.caller import AdminCaller, Caller
from market.web.api.routing import UserId
from market.web.schemas.administration import UserPageSchema, UserRecordSchema

router = routing.router()

_AFTER = query.Whole(
    "after", "the cursor of an earlier answer; 0: from the newest on", 0, users.MOST_ID, default=0
)
_SEARCH = query.Search("search", "how the name or the e-mail address begins")
_STATE = query.Choice("state", "people of this state only", users.STATES)


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


@router.get(
    "/users",
    tags=["users"],
    openapi_extra=routing.described(
        gives=UserPageSchema,
        refuses=(403,),
        parameters=(query.LIMIT, _AFTER, _SEARCH, _STATE),
        scope=scopes.LOGIN,
    ),
)
def list_users(request: Request, admin: AdminCaller) -> dict[str, Any]:
    """List people behind a cursor, those who came last first; for administrators."""
    limit, after = query.LIMIT.read(request) or Page.limit, _AFTER.read(request) or 0
    found = users.list_users(admin, limit, after, _SEARCH.read(request), _STATE.read(request))
    return routing.dumped(UserPageSchema, found)


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


@router.post(
    "/users/me/deactivate",
    tags=["users"],
    openapi_extra=routing.described(
        DeactivationSchema,
        DeactivatedSchema,
        refuses=(409, 413, 422, 429),
        keyed=False,
        scope=scopes.LOGIN,
    ),
)
def deactivate_account(
    member: Caller, body: Annotated[dict[str, Any], routing.body(DeactivationSchema)]
) -> dict[str, Any]:
    """Deactivate one's own account: all its sessions and tokens end, its machines leave."""
    return routing.dumped(DeactivatedSchema, accounts.deactivate(AirflowLogins(), member, **body))


@router.delete(
    "/users/me",
    status_code=202,
    tags=["users"],
    openapi_extra=routing.described(
        DeletionSchema, DeletionAskedSchema, refuses=(409, 413, 422, 429), scope=scopes.LOGIN
    ),
)
def delete_account(
    member: Caller, body: Annotated[dict[str, Any], routing.body(DeletionSchema)]
) -> dict[str, Any]:
    """Have one's own account deleted: it is deactivated at once, and erased when its time has come."""
    return routing.dumped(DeletionAskedSchema, deletion.ask(AirflowLogins(), member, **body))


@router.get(
    "/users/{user_id}",
    tags=["users"],
    openapi_extra=routing.described(gives=UserRecordSchema, refuses=(403, 404), scope=scopes.LOGIN),
)
def get_user(admin: AdminCaller, user_id: UserId) -> dict[str, Any]:
    """Return a user; for administrators."""
    return routing.dumped(UserRecordSchema, users.find(admin, user_id))


@router.post(
    "/users/{user_id}/suspend",
    tags=["users"],
    openapi_extra=routing.described(
        SuspensionSchema, UserRecordSchema, refuses=(403, 404, 409, 413, 422), scope=scopes.LOGIN
    ),
)
def suspend_user(
    admin: AdminCaller, user_id: UserId, body: Annotated[dict[str, Any], routing.body(SuspensionSchema)]
) -> dict[str, Any]:
    """Suspend an account: its sessions and tokens end at once; for administrators."""
    return routing.dumped(UserRecordSchema, accounts.suspend(AirflowLogins(), admin, user_id, **body))


@router.post(
    "/users/{user_id}/reopen",
    tags=["users"],
    openapi_extra=routing.described(
        ReasonSchema, UserRecordSchema, refuses=(403, 404, 409, 413, 422), scope=scopes.LOGIN
    ),
)
def reopen_user(
    admin: AdminCaller, user_id: UserId, body: Annotated[dict[str, Any], routing.body(ReasonSchema)]
) -> dict[str, Any]:
    """Reopen a suspended account; its person logs in anew; for administrators."""
    return routing.dumped(UserRecordSchema, accounts.reopen(admin, user_id, **body))
