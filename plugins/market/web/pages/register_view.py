"""The page on which somebody without an account makes one; the only page that needs no login."""

from __future__ import annotations

from flask import Response, flash, make_response, redirect, request
from flask_appbuilder import expose

from market.airflow import logins, menu, tokens
from market.airflow.logins import AirflowLogins
from market.kit import settings
from market.kit.errors import BadInputError, MarketError
from market.people.registration import register
from market.web.pages.base import MarketPage, answer, front
from market.web.pages.job_form import messages

_FIELDS = ("username", "password", "email")
_SHOWN_AGAIN = ("username", "email")


class RegisterView(MarketPage):
    """Registration."""

    route_base = "/market/register"
    class_permission_name = menu.REGISTRATION
    default_view = "form"

    @expose("/")
    def form(self) -> Response:
        """Show the form."""
        return self._form({}, "", 200)

    @expose("/", methods=["POST"])
    def register(self) -> Response:
        """Make the account and log in, or show the form again with what is wrong."""
        try:
            given = {name: request.form.get(name, "") for name in _FIELDS}
            user = register(AirflowLogins(), **given, address=request.remote_addr or "")
        except BadInputError as error:
            return self._form(messages(error), "", error.status)
        except MarketError as error:
            return self._form({}, error.detail, error.status)
        response = make_response(redirect(front(), code=303))
        login = AirflowLogins().named(user["username"])
        if login is not None:
            secure = request.scheme == "https" or settings.load().tls
            tokens.give_to_browser(response, AirflowLogins().issue(login), secure)
            words = f"Welcome, {login.username}. Your account, your home and your credits are ready."
            flash(words, "market-good")
        return response

    def _form(self, errors: dict[str, str], problem: str, status: int) -> Response:
        return answer(
            status,
            "market/register.html",
            values={name: request.form.get(name, "") for name in _SHOWN_AGAIN},
            errors=errors,
            problem=problem,
            grant=settings.load().credits.signup_grant,
            login=logins.page(),
        )
