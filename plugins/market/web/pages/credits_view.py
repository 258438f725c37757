"""The page My credits: balance, its history, every posting, and downloads."""

from __future__ import annotations

from typing import Any

from flask import Response
from flask_appbuilder import expose

from market.airflow import menu
from market.credits import statement as statements
from market.credits import summary as summaries
from market.kit import clock
from market.people.member import Member
from market.web.pages import charts
from market.web.pages.base import MarketPage, offset, page
from market.web.pages.text import credits_text

_ROWS = 25
_DAY_MS = 86_400_000
_BURN_DAYS = 7


class CreditsView(MarketPage):
    """What a member has, earned and spent."""

    route_base = "/market/credits"
    class_permission_name = menu.CREDITS
    default_view = "credits"
    entry = "My credits"

    @expose("/")
    @page("read")
    def credits(self, member: Member) -> Response:
        """Show the balance and the statement."""
        lines = statements.statement(member.user_id)
        newest = list(reversed(lines))
        first = offset(_ROWS)
        return self.show(
            "credits.html",
            member,
            summary=summaries.summary(member.user_id),
            lines=newest[first : first + _ROWS],
            total=len(lines),
            number=first // _ROWS + 1,
            pages=max(1, -(-len(lines) // _ROWS)),
            chart=_balance_chart(lines),
            days_left=days_left(lines, clock.now_ms()),
        )


def days_left(lines: list[dict[str, Any]], now_ms: int) -> int | None:
    """Return how long the balance lasts, in days, at the last week's net spending.

    None if it does not shrink, and in an account's first day.
    """
    if not lines or now_ms - lines[0]["at"] < _DAY_MS:
        return None  # of less than a day nothing follows
    week = [line for line in lines if line["at"] >= now_ms - _BURN_DAYS * _DAY_MS and line["kind"] != "grant"]
    spent = -sum(float(line["amount"]) for line in week)
    span_days = min(_BURN_DAYS, max(1.0, (now_ms - lines[0]["at"]) / _DAY_MS))
    balance = float(lines[-1]["balance"])
    return int(balance / (spent / span_days)) if spent > 0 and balance > 0 else None


def _balance_chart(lines: list[dict[str, Any]]) -> charts.Chart | None:
    samples = [(int(line["at"]), float(line["balance"])) for line in lines]
    return charts.steps(
        "Your balance", samples, clock.now_ms(), lambda figure: credits_text(round(figure, 3)), (0.0,)
    )
