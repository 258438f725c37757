"""The page Operations, for administrators: services, alerts, settlements and the state of the ledger."""

from __future__ import annotations

import math

from flask import Response
from flask_appbuilder import expose

from market.airflow import menu
from market.credits import invariants, verification
from market.credits.settlement import intervals
from market.kit import alerts, database
from market.kit.paging import Page
from market.people.member import Member
from market.web.api import health
from market.web.pages.base import MarketPage, offset, page

_ROWS = 25
_MOST_ID = 2**63 - 1
_SERVICES = {"database": "PostgreSQL", "hdfs": "HDFS", "yarn": "YARN"}


class OperationsView(MarketPage):
    """What an operator looks at."""

    route_base = "/market/operations"
    class_permission_name = menu.OPERATIONS
    default_view = "operations"
    entry = "Operations"

    @expose("/")
    @page("read")
    def operations(self, member: Member) -> Response:
        """Show services, alerts, the ledger's checks and the settled intervals."""
        first = offset(_ROWS)
        settlements = intervals.list_settlements(Page(limit=_ROWS, offset=first))
        with database.transaction() as cursor:
            violations, whole = invariants.check(cursor, only_new=True), invariants.last_check(cursor)
            last, going_on = verification.last_look(cursor), verification.open_look(cursor)
        return self.show(
            "operations.html",
            member,
            services={_SERVICES[name]: state for name, state in health.look().items()},
            alerts=alerts.list_alerts(Page(limit=50)).rows,
            violations=violations,
            whole=whole,
            last_look=last,
            open_look=going_on,
            settlements=settlements.rows,
            total=settlements.total,
            number=first // _ROWS + 1,
            pages=max(1, math.ceil(settlements.total / _ROWS)),
        )

    @expose("/alerts/<int:alert_id>/acknowledge", methods=["POST"])
    @page("edit")
    def acknowledge(self, member: Member, alert_id: int) -> Response:
        """Have an alert count as seen."""
        member.require_admin()
        alert = alerts.acknowledge(min(alert_id, _MOST_ID), member.username)
        return self.go(
            "OperationsView.operations", f"Acknowledged: {alert.kind.replace('_', ' ')}, {alert.subject}."
        )
