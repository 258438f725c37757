"""The pages that mailed codes lead to, and the one on which to ask for a new password; they need no login.

A code stands behind the # of a mailed address, which browsers send to no server: a script puts it into the
form, and whoever has none copies it there. A program that looks at all links of a mail uses nothing up.
"""

from __future__ import annotations

from collections.abc import Callable

from flask import Response, flash, make_response, redirect, request
from flask_appbuilder import expose

from market.airflow import logins, menu
from market.airflow.logins import AirflowLogins
from market.kit.errors import BadInputError, MarketError
from market.kit.wire import loaded
from market.people import confirmation, reset
from market.people.schemas import CodeSchema, NewPasswordSchema, ResetSchema
from market.web.pages.base import MarketPage, answer, front, told
from market.web.pages.job_form import messages


class CodesView(MarketPage):
    """Confirming an address, and a new password."""

    route_base = "/market/account"
    class_permission_name = menu.CODES
    default_view = "confirm"

    @expose("/confirm")
    @told
    def confirm(self) -> Response:
        """Show the form with the code."""
        return _form("confirm.html")

    @expose("/confirm", methods=["POST"])
    @told
    def confirmed(self) -> Response:
        """Confirm an address."""

        def done() -> str:
            given = loaded(CodeSchema(), {"code": request.form.get("code", "")})
            return f"{confirmation.confirm(AirflowLogins(), **given, address=_address())} is confirmed."

        return _tried("confirm.html", done)

    @expose("/forgot")
    @told
    def forgot(self) -> Response:
        """Show the form on which one asks for a new password."""
        return _form("forgot.html")

    @expose("/forgot", methods=["POST"])
    @told
    def asked(self) -> Response:
        """Have a code mailed."""

        def done() -> str:
            given = loaded(ResetSchema(), {"account": request.form.get("account", "")})
            reset.ask(**given, address=_address())
            return reset.ASKED

        return _tried("forgot.html", done)

    @expose("/reset")
    @told
    def new_password(self) -> Response:
        """Show the form with the code and the new password."""
        return _form("reset.html")

    @expose("/reset", methods=["POST"])
    @told
    def changed(self) -> Response:
        """Set the new password."""

        def done() -> str:
            names = ("code", "new_password")
            given = loaded(NewPasswordSchema(), {name: request.form.get(name, "") for name in names})
            reset.set_password(AirflowLogins(), **given, address=_address())
            return "The password is changed. Log in with it."

        return _tried("reset.html", done)


def _tried(template: str, work: Callable[[], str]) -> Response:
    """Return to the front door with what the work says, or show the form again with what is wrong."""
    try:
        words = work()
    except BadInputError as error:
        return _form(template, messages(error), status=error.status)
    except MarketError as error:
        return _form(template, problem=error.detail, status=error.status)
    flash(words, "market-good")
    response: Response = make_response(redirect(_welcome(), code=303))
    return response


def _form(
    template: str, errors: dict[str, str] | None = None, problem: str = "", status: int = 200
) -> Response:
    return answer(
        status,
        f"market/{template}",
        values={name: request.form.get(name, "") for name in ("code", "account")},
        errors=errors or {},
        problem=problem,
        login=logins.page(),
    )


def _welcome() -> str:
    return f"{front()}pluginsv2/market/welcome/"


def _address() -> str:
    return request.remote_addr or ""
