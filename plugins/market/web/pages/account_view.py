"""The page Account: one's address and whether it is confirmed, another one, one's shown name, and leaving."""

from __future__ import annotations

from flask import Response, request
from flask_appbuilder import expose

from market.administration import accounts
from market.airflow import menu
from market.airflow.logins import AirflowLogins
from market.kit.errors import BadInputError, MarketError
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
        form = {
            "password": request.form.get("password_to_leave", ""),
            "cancel_jobs": "cancel_jobs" in request.form,
        }
        try:
            accounts.deactivate(AirflowLogins(), member, **loaded(DeactivationSchema(), form))
        except BadInputError as error:
            wrong = {"password_to_leave": "; ".join(messages(error).values())}
            return self._shown(member, wrong, status=error.status)
        except MarketError as error:
            return self._shown(member, problem=error.detail, status=error.status)
        return self.message(
            200,
            "Your account is deactivated",
            "You are logged out everywhere, and your machines leave the pool when they have drained. Your "
            "credits and files stay as they are. An administrator of this market can reopen the account.",
        )

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
        )
