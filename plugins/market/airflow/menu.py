"""What the pages are called in Airflow: menu entries and permissions. Imports nothing of Flask."""

from __future__ import annotations

MARKET = "Market"
JOBS = "My Jobs"
MACHINES = "My Machines"
CREDITS = "My Credits"
REGISTRATION = "Market Registration"  # for everybody: it holds no permission
OPERATIONS = "Market Operations"  # administrators only: Admin has every permission by itself

# What the role of a market user holds: (action, resource).
PERMISSIONS: list[tuple[str, str]] = [
    ("can_read", MARKET),
    ("can_read", JOBS),
    ("can_create", JOBS),
    ("can_edit", JOBS),
    ("can_delete", JOBS),
    ("can_read", MACHINES),
    ("can_edit", MACHINES),
    ("can_delete", MACHINES),
    ("can_read", CREDITS),
]

_PREFIX = "/pluginsv2"  # where Airflow mounts the views of plugins


def _entry(name: str, path: str, route: str, icon: str) -> dict[str, object]:
    icons = f"{_PREFIX}/market/static/icons/{icon}"
    return {
        "name": name,
        "href": f"{_PREFIX}{path}",
        "destination": "nav",
        "url_route": route,
        "nav_top_level": True,
        "icon": f"{icons}.svg",
        "icon_dark_mode": f"{icons}-dark.svg",
    }


EXTERNAL_VIEWS: list[dict[str, object]] = [
    _entry("Market", "/market/", "market", "market"),
    _entry("My jobs", "/market/jobs/", "market-jobs", "jobs"),
    _entry("My machines", "/market/machines/", "market-machines", "machines"),
    _entry("My credits", "/market/credits/", "market-credits", "credits"),
]
