"""The page on which somebody without an account makes one; the only page that needs no login."""

from __future__ import annotations

from flask import Response, flash, make_response, redirect, request
from flask_appbuilder import expose

from market.airflow import logins, menu, tokens
from market.airflow.logins import AirflowLogins
from market.kit import settings
from market.kit.errors import BadInputError, MarketError
from market.people import opening
from market.people.registration import register
from market.web.pages.base import MarketPage, answer, front
from market.web.pages.job_form import messages

_FIELDS = ("username", "password", "email", "invitation")
_SHOWN_AGAIN = ("username", "email", "invitation")
_READY = "Your account, your home and your credits are ready."
_WAITS_FOR = {
    opening.CONFIRMATION: "Open the link that was mailed to you: then you get your first credits.",
    opening.APPROVAL: "When an administrator approves it you get your first credits, and can submit jobs.",
}


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
            waits_for = _WAITS_FOR.get(user["credit_waits_for"])
            ready = f"Your account and your home are ready. {waits_for}" if waits_for else _READY
            words = f"Welcome, {login.username}. {ready}"
            flash(words, "market-good")
        return response

    def _form(self, errors: dict[str, str], problem: str, status: int) -> Response:
        return answer(
            status,
            "market/register.html",
            values={name: request.form.get(name, "") for name in _SHOWN_AGAIN},
            errors=errors,
            problem=problem,
            mode=settings.load().accounts.registration,
            grant=settings.load().credits.signup_grant,
            login=logins.page(),
        )
