"""The front door: what this market is, for whoever has not logged in."""

from __future__ import annotations

from typing import Any

from flask import Response
from flask_appbuilder import expose

from market.airflow import logins, menu
from market.credits import price
from market.kit import database, settings
from market.machines import supply
from market.web.pages.base import MarketPage, answer, told


class WelcomeView(MarketPage):
    """What the market is for, what it has and costs now, and the ways in. It needs no login."""

    route_base = "/market/welcome"
    class_permission_name = menu.WELCOME
    default_view = "welcome"

    @expose("/")
    @told
    def welcome(self) -> Response:
        """Show the front door."""
        return answer(
            200,
            "market/welcome.html",
            lines=capacity(),
            grant=settings.load().credits.signup_grant,
            login=logins.page(),
        )


def capacity() -> list[dict[str, Any]]:
    """Return cores, free cores and the credits of a core and hour for each machine type.

    They come from the market's own records: strangers must not be able to make it ask the cluster.
    """
    prices = price.current()["types"]
    with database.transaction() as cursor:
        found = {name: supply.of(cursor, name) for name in settings.load().types}
    return [
        {
            "name": name,
            "machines": len(there.active),
            "cores": there.cores,
            "free": there.free_cores,
            "price": prices[name]["core_hour"],
        }
        for name, there in found.items()
    ]
