"""Routes on an account itself: its address, its name, and a password that was forgotten."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Request, Response

from market.airflow.logins import AirflowLogins
from market.people import confirmation, profile, reset
from market.people.schemas import (
    AskedSchema,
    CodeSchema,
    DisplayNameSchema,
    EmailSchema,
    NewPasswordSchema,
    ResetSchema,
    UserSchema,
)
from market.web.api import routing, scopes
from market.web.api.caller import Caller

router = routing.router()


def _address(request: Request) -> str:
    return request.client.host if request.client else ""


@router.put(
    "/users/me/email",
    status_code=202,
    tags=["users"],
    openapi_extra=routing.described(EmailSchema, AskedSchema, refuses=(401, 409, 413, 422, 429)),
)
def change_email(
    member: Caller, body: Annotated[dict[str, Any], routing.body(EmailSchema)]
) -> dict[str, Any]:
    """Give oneself another address; it takes the old one's place when it is confirmed."""
    waits = confirmation.change(AirflowLogins(), member, **body)
    words = f"A mail to {body['email']} has what confirms it." if waits else "The address is changed."
    return routing.dumped(AskedSchema, {"detail": words})


@router.post(
    "/users/me/email/confirmation",
    status_code=202,
    tags=["users"],
    openapi_extra=routing.described(gives=AskedSchema, refuses=(409, 429), keyed=False),
)
def ask_to_confirm(member: Caller) -> dict[str, Any]:
    """Have a code mailed by which one confirms one's address; older codes are good no more."""
    confirmation.ask(member)
    return routing.dumped(AskedSchema, {"detail": "A mail with the code is on its way."})


@router.post(
    "/users/confirm",
    tags=["users"],
    openapi_extra=routing.described(CodeSchema, AskedSchema, refuses=(409, 413, 422, 429), public=True),
)
def confirm_email(
    request: Request, body: Annotated[dict[str, Any], routing.body(CodeSchema)]
) -> dict[str, Any]:
    """Confirm an address by the code that was mailed there."""
    email = confirmation.confirm(AirflowLogins(), **body, address=_address(request))
    return routing.dumped(AskedSchema, {"detail": f"{email} is confirmed."})


@router.put(
    "/users/me/name",
    tags=["users"],
    openapi_extra=routing.described(DisplayNameSchema, UserSchema, refuses=(413, 422), scope=scopes.LOGIN),
)
def rename_user(
    member: Caller, body: Annotated[dict[str, Any], routing.body(DisplayNameSchema)]
) -> dict[str, Any]:
    """Give oneself another name to be shown by; the username stays."""
    return routing.dumped(UserSchema, profile.rename(AirflowLogins(), member, **body))


@router.post(
    "/users/reset",
    status_code=202,
    tags=["users"],
    openapi_extra=routing.described(ResetSchema, AskedSchema, refuses=(409, 413, 422, 429), public=True),
)
def ask_for_reset(
    request: Request, body: Annotated[dict[str, Any], routing.body(ResetSchema)]
) -> dict[str, Any]:
    """Have a code for a new password mailed; the answer never tells whether there is such an account."""
    reset.ask(**body, address=_address(request))
    return routing.dumped(AskedSchema, {"detail": reset.ASKED})


@router.post(
    "/users/reset/password",
    status_code=204,
    tags=["users"],
    openapi_extra=routing.described(NewPasswordSchema, refuses=(413, 422, 429), public=True),
)
def reset_password(
    request: Request, body: Annotated[dict[str, Any], routing.body(NewPasswordSchema)]
) -> Response:
    """Set a new password by the code that was mailed. All sessions and tokens end."""
    reset.set_password(AirflowLogins(), **body, address=_address(request))
    return Response(status_code=204)
