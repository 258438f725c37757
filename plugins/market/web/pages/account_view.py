"""The page Account: one's address and whether it is confirmed, another one, one's shown name, and leaving."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from flask import Response, request
from flask_appbuilder import expose

from market.administration import accounts, deletion
from market.airflow import menu
from market.airflow.logins import AirflowLogins
from market.kit.errors import BadInputError, MarketError
from market.kit.settings import load
from market.kit.wire import loaded
from market.notifications import channels
from market.people import confirmation, profile
from market.people.member import Member
from market.people.schemas import DeactivationSchema, DisplayNameSchema, EmailSchema
from market.web.pages.base import MarketPage, page
from market.web.pages.job_form import messages


class AccountView(MarketPage):
    """A member's own account."""

    route_base = "/market/account"
    class_permission_name = menu.ACCOUNT
    default_view = "account"
    entry = "Account"

    @expose("/")
    @page("read")
    def account(self, member: Member) -> Response:
        """Show what the market knows of the member, and waits for."""
        return self._shown(member)

    @expose("/confirmation", methods=["POST"])
    @page("edit")
    def ask(self, member: Member) -> Response:
        """Have a code mailed."""
        try:
            confirmation.ask(member)
        except MarketError as error:
            return self._shown(member, problem=error.detail, status=error.status)
        return self.go("AccountView.account", "A mail is on its way. Open the link in it.")

    @expose("/email", methods=["POST"])
    @page("edit")
    def change_email(self, member: Member) -> Response:
        """Give the member another address."""
        try:
            given = loaded(
                EmailSchema(), {name: request.form.get(name, "") for name in ("email", "password")}
            )
            waits = confirmation.change(AirflowLogins(), member, **given)
        except BadInputError as error:
            return self._shown(member, messages(error), status=error.status)
        except MarketError as error:
            return self._shown(member, problem=error.detail, status=error.status)
        words = "Open the link that was mailed to the new address: then it counts." if waits else "Changed."
        return self.go("AccountView.account", words)

    @expose("/name", methods=["POST"])
    @page("edit")
    def rename(self, member: Member) -> Response:
        """Give the member another name to be shown by."""
        try:
            given = loaded(DisplayNameSchema(), {"display_name": request.form.get("display_name", "")})
            profile.rename(AirflowLogins(), member, **given)
        except BadInputError as error:
            return self._shown(member, messages(error), status=error.status)
        return self.go("AccountView.account", "The name is changed.")

    @expose("/deactivate", methods=["POST"])
    @page("edit")
    def deactivate(self, member: Member) -> Response:
        """Deactivate the account, and say so: no page of it is shown any more."""

        def leave(body: dict[str, Any]) -> str:
            accounts.deactivate(AirflowLogins(), member, **body)
            stays = "Your credits and files stay as they are."
            return f"{stays} An administrator of this market can reopen the account."

        return self._left(member, leave, "password_to_leave", "Your account is deactivated")

    @expose("/delete", methods=["POST"])
    @page("edit")
    def delete(self, member: Member) -> Response:
        """Have the account deleted, and say when: no page of it is shown any more."""

        def leave(body: dict[str, Any]) -> str:
            asked = deletion.ask(AirflowLogins(), member, **body)
            day = datetime.fromtimestamp(asked["deletion_time"] / 1000, UTC).strftime("%Y-%m-%d")
            return (
                f"On {day} (UTC) its files, secrets, address and name are removed. Until then an"
                " administrator of this market can reopen the account."
            )

        return self._left(member, leave, "password_to_delete", "Your account will be deleted")

    def _left(
        self, member: Member, leave: Callable[[dict[str, Any]], str], password_field: str, title: str
    ) -> Response:
        """Leave the market by a form, and tell what `leave` says; else show what is wrong."""
        form = {
            "password": request.form.get(password_field, ""),
            "cancel_jobs": "cancel_jobs" in request.form,
        }
        try:
            follows = leave(loaded(DeactivationSchema(), form))
        except BadInputError as error:
            wrong = {password_field: "; ".join(messages(error).values())}
            return self._shown(member, wrong, status=error.status)
        except MarketError as error:
            return self._shown(member, problem=error.detail, status=error.status)
        words = "You are logged out everywhere, and your machines leave the pool when they have drained."
        return self.message(200, title, f"{words} {follows}")

    def _shown(
        self, member: Member, errors: dict[str, str] | None = None, problem: str = "", status: int = 200
    ) -> Response:
        return self.show(
            "account.html",
            member,
            status,
            me=profile.profile(member),
            mailed=channels.choices(member),
            errors=errors or {},
            problem=problem,
            deletion_days=load().accounts.deletion_days,
        )
