"""What the pages are called in Airflow: menu entries and permissions. Imports nothing of Flask."""

from __future__ import annotations

import hashlib
from pathlib import Path

MARKET = "Market"
JOBS = "My Jobs"
FILES = "My Files"
MACHINES = "My Machines"
CREDITS = "My Credits"
ACCOUNT = "My Market Account"
TOKENS = "My Market Tokens"
NOTIFICATIONS = "My Market Notifications"
PROJECTS = "My Market Projects"
REGISTRATION = "Market Registration"  # for everybody: it holds no permission
CODES = "Market Account Codes"  # likewise
WELCOME = "Market Welcome"  # likewise
OPERATIONS = "Market Operations"  # administrators only: Admin has every permission by itself
ADMINISTRATION = "Market Administration"  # likewise

# What the role of a market user holds: (action, resource).
PERMISSIONS: list[tuple[str, str]] = [
    ("can_read", MARKET),
    ("can_read", JOBS),
    ("can_create", JOBS),
    ("can_edit", JOBS),
    ("can_delete", JOBS),
    ("can_read", FILES),
    ("can_create", FILES),
    ("can_read", MACHINES),
    ("can_edit", MACHINES),
    ("can_delete", MACHINES),
    ("can_read", CREDITS),
    ("can_read", ACCOUNT),
    ("can_edit", ACCOUNT),
    ("can_read", TOKENS),
    ("can_create", TOKENS),
    ("can_delete", TOKENS),
    ("can_read", NOTIFICATIONS),
    ("can_create", NOTIFICATIONS),
    ("can_edit", NOTIFICATIONS),
    ("can_delete", NOTIFICATIONS),
    ("can_read", PROJECTS),
    ("can_create", PROJECTS),
    ("can_edit", PROJECTS),
]

_ICONS = Path(__file__).parents[1] / "web" / "pages" / "static" / "icons"
_PREFIX = "/pluginsv2"  # where Airflow mounts the views of plugins


def _entry(name: str, path: str, route: str, icon: str) -> dict[str, object]:
    return {
        "name": name,
        "href": f"{_PREFIX}{path}",
        "destination": "nav",
        "url_route": route,
        "nav_top_level": True,
        "icon": _icon(f"{icon}.svg"),
        "icon_dark_mode": _icon(f"{icon}-dark.svg"),
    }


def _icon(name: str) -> str:
    """Return an icon's address with its version, so that browsers keep it."""
    version = hashlib.sha256((_ICONS / name).read_bytes()).hexdigest()[:12]
    return f"{_PREFIX}/market/static/icons/{name}?v={version}"


EXTERNAL_VIEWS: list[dict[str, object]] = [
    _entry("Market", "/market/", "market", "market"),
    _entry("My jobs", "/market/jobs/", "market-jobs", "jobs"),
    _entry("My files", "/market/files/", "market-files", "files"),
    _entry("My machines", "/market/machines/", "market-machines", "machines"),
    _entry("My credits", "/market/credits/", "market-credits", "credits"),
]
