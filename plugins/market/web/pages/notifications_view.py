"""The page Notifications: which events a member is told of by mail and by webhooks, and the latest ones."""

from __future__ import annotations

from typing import Any

from flask import Response, request
from flask_appbuilder import expose

from market.airflow import menu
from market.kit.errors import BadInputError, MarketError
from market.kit.wire import loaded
from market.notifications import channels, feed
from market.notifications.kinds import CHOOSABLE, KINDS
from market.notifications.schemas import ChoicesInput, WebhookInput
from market.people.member import Member
from market.web.pages.base import MarketPage, page
from market.web.pages.job_form import messages

_EVENTS = 50
AT_ONCE, DAILY, NEVER = "mail", "digest", ""


class NotificationsView(MarketPage):
    """What a member is told of."""

    route_base = "/market/notifications"
    class_permission_name = menu.NOTIFICATIONS
    default_view = "notifications"
    entry = "Account"

    @expose("/")
    @page("read")
    def notifications(self, member: Member) -> Response:
        """Show what the member has chosen, his webhooks, and his latest events."""
        return self._shown(member)

    @expose("/mail", methods=["POST"])
    @page("edit")
    def choose(self, member: Member) -> Response:
        """Choose for each kind of events whether it is mailed at once, once a day, or not at all."""
        given = {
            way: [kind for kind in CHOOSABLE if request.form.get(kind) == way] for way in (AT_ONCE, DAILY)
        }
        channels.choose(member, **loaded(ChoicesInput(), given))
        return self.go("NotificationsView.notifications", "Your choice is kept.")

    @expose("/webhooks", methods=["POST"])
    @page("create")
    def add(self, member: Member) -> Response:
        """Add a webhook, and show its secret: in this answer alone, so no other page is gone to."""
        given = {"url": request.form.get("url", "").strip(), "kinds": request.form.getlist("kinds")}
        try:
            made = channels.add_webhook(member, **loaded(WebhookInput(), given))
        except BadInputError as error:
            return self._shown(member, errors=messages(error), status=error.status)
        except MarketError as error:
            return self._shown(member, problem=error.detail, status=error.status)
        return self._shown(member, made=made)

    @expose("/webhooks/<string:webhook_id>/test", methods=["POST"])
    @page("edit")
    def test(self, member: Member, webhook_id: str) -> Response:
        """Send a test to a webhook, and say what became of it."""
        told = channels.try_webhook(member, webhook_id)
        if told["delivered"]:
            return self.go("NotificationsView.notifications", "The test was taken.")
        return self.go("NotificationsView.notifications", f"The test was not taken: {told['detail']}", "bad")

    @expose("/webhooks/<string:webhook_id>/delete", methods=["POST"])
    @page("delete")
    def delete(self, member: Member, webhook_id: str) -> Response:
        """Delete a webhook, with what waits for it."""
        channels.delete_webhook(member, webhook_id)
        return self.go("NotificationsView.notifications", "The webhook is deleted.")

    def _shown(
        self,
        member: Member,
        made: dict[str, Any] | None = None,
        errors: dict[str, str] | None = None,
        problem: str = "",
        status: int = 200,
    ) -> Response:
        sent = bool(errors or problem)
        return self.show(
            "notifications.html",
            member,
            status,
            mailed=channels.choices(member),
            kinds={kind: KINDS[kind].summary for kind in CHOOSABLE},
            ways={NEVER: "not at all", AT_ONCE: "at once", DAILY: "once a day"},
            webhooks=channels.list_webhooks(member).rows,
            events=feed.latest(member, _EVENTS),
            made=made,
            url=request.form.get("url", "") if sent else "",
            chosen=request.form.getlist("kinds") if sent else [],
            errors=errors or {},
            problem=problem,
        )
