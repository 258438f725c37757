"""What all pages share: who asks, whether he may, and how errors are told in words."""

from __future__ import annotations

import functools
import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import psycopg2
from flask import Blueprint, Response, flash, make_response, redirect, render_template, request, url_for
from flask_appbuilder import BaseView
from flask_login import current_user
from flask_wtf.csrf import CSRFError

from market.airflow import logins
from market.credits import summary as summaries
from market.kit import whole
from market.kit.errors import MarketError, UnavailableError
from market.people import members
from market.people.member import Member
from market.web.pages import text

_LAST_PAGE = 100_000

log = logging.getLogger(__name__)
T = TypeVar("T")
Handler = Callable[..., Any]

FOLDER = Path(__file__).parent
_STATIC_AGE_S = 86400


class _Pages(Blueprint):
    """Templates and static files; what is asked for with its version may be kept."""

    def get_send_file_max_age(self, filename: str | None) -> int | None:
        """Return how long a browser may keep a file without asking again, in seconds."""
        return _STATIC_AGE_S if "v" in request.args else None


blueprint = _Pages(
    "market_pages",
    __name__,
    template_folder="templates",
    static_folder="static",
    static_url_path="/market/static",
)
for _name, _filter in text.FILTERS.items():
    blueprint.add_app_template_filter(_filter, _name)


@functools.cache
def _version() -> str:
    """Return a digest of the static files' content, so that browsers may keep them."""
    digest = hashlib.sha256()
    for path in sorted((FOLDER / "static").rglob("*.*")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def asset(name: str) -> str:
    """Return the address of a static file."""
    return url_for("market_pages.static", filename=name, v=_version())


def api_root() -> str:
    """Return where the REST routes are, seen from the pages' mount."""
    return request.script_root.removesuffix("/pluginsv2") + "/market/api/v1"


def front() -> str:
    """Return the address that everybody may begin at: see home.py."""
    return request.script_root.removesuffix("/pluginsv2") + "/"


@dataclass(frozen=True)
class Part(Generic[T]):
    """A part of a page: its value, or in `trouble` why it cannot be shown now."""

    value: T | None = None
    trouble: str = ""


def part(read: Callable[..., T], *arguments: Any, **named: Any) -> Part[T]:
    """Read one part of a page; when a service does not answer, the rest of the page stays."""
    try:
        return Part(read(*arguments, **named))
    except UnavailableError as error:
        log.warning("a part of %s is away: %s", request.path, error.detail)
        return Part(trouble="What knows this does not answer now. The rest of the page is as it should be.")


def told(handler: Handler) -> Handler:
    """Make what goes wrong in a handler a page in words."""

    @functools.wraps(handler)
    def guarded(self: MarketPage, *arguments: Any, **named: Any) -> Any:
        try:
            return handler(self, *arguments, **named)
        except MarketError as error:
            return self.message(error.status, error.title, error.detail)
        except (psycopg2.OperationalError, psycopg2.InterfaceError):
            log.exception("the market's database does not answer")
            return self.message(
                503, "Unavailable", "The market's database does not answer. Try again in a minute."
            )
        except Exception:
            log.exception("page %s failed", request.path)
            return self.message(
                500,
                "This page could not be made",
                "The fault is ours and has been logged. Try again; if it stays, tell an administrator.",
            )

    return guarded


def page(action: str) -> Callable[[Handler], Handler]:
    """Make a handler a page for those who may `can_<action>` on the view's resource.

    The handler gets the member who asks as its first argument. A `MarketError` becomes a page in words.
    """

    def wrap(handler: Handler) -> Handler:
        @functools.wraps(handler)
        def guarded(self: MarketPage, *arguments: Any, **named: Any) -> Any:
            if not current_user.is_authenticated:
                return self.message(401, "You are not logged in", "Log in to see this page.")
            if not self.appbuilder.sm.has_access(f"can_{action}", self.class_permission_name):
                return self.message(
                    403,
                    "This page is not for your role",
                    "Your account lacks the right to see it. Ask an administrator of this market.",
                )
            return known(self, *arguments, **named)

        @told
        def known(self: MarketPage, *arguments: Any, **named: Any) -> Any:
            member = _member()
            if member is None:
                return self.message(
                    403,
                    "No market account",
                    "You are logged in to Airflow, but not with an account of the market. "
                    "Log out, and register to lend machines and to run jobs.",
                )
            return handler(self, member, *arguments, **named)

        guarded._permission_name = action  # type: ignore[attr-defined]
        return guarded

    return wrap


def _member() -> Member | None:
    login = logins.with_id(current_user.id)
    return members.of_login(login) if login else None


class MarketPage(BaseView):
    """Base of the market's views. Subclasses set `route_base`, `class_permission_name` and `entry`."""

    entry = ""

    def show(self, template: str, member: Member, status: int = 200, **context: Any) -> Response:
        """Render a page of the market for a member."""
        return answer(
            status,
            f"market/{template}",
            member=member,
            entry=self.entry,
            spendable=summaries.summary(member.user_id)["available"],
            **context,
        )

    def message(self, status: int, title: str, detail: str) -> Response:
        """Render a page that is only a message."""
        return message(status, title, detail, self.entry)

    def go(self, endpoint: str, notice: str = "", tone: str = "good", **values: Any) -> Response:
        """Send the browser to another page, where `notice` is shown once."""
        if notice:
            flash(notice, f"market-{tone}")
        response: Response = make_response(redirect(url_for(endpoint, **values), code=303))
        return response


def message(status: int, title: str, detail: str, entry: str = "") -> Response:
    """Render a page that is only a message; it is also for those who are no members."""
    login = logins.page(next_url=request.url) if status == 401 else ""
    return answer(
        status, "market/message.html", title=title, detail=detail, login=login, entry=entry, member=None
    )


def answer(status: int, template: str, **context: Any) -> Response:
    """Render a template, with the headers that every page has."""
    text = render_template(template, asset=asset, api_root=api_root(), front=front(), **context)
    response = make_response(text, status)
    response.headers["Cache-Control"] = "no-store"
    response.headers["Content-Security-Policy"] = (
        "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; "
        "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'self'"
    )
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "same-origin"
    return response


@blueprint.app_errorhandler(CSRFError)
def form_too_old(error: CSRFError) -> Response:
    """Answer a form whose token is missing or too old."""
    return message(
        400,
        "This form can no longer be sent",
        "It was open for too long, or you have logged in again since. Nothing was changed. "
        "Go back, reload the page and send it once more.",
    )


def offset(limit: int) -> int:
    """Return the offset that `?page=` (from 1) asks for."""
    number = whole.parsed(request.args.get("page", "1"), _LAST_PAGE, lowest=1)
    return ((number or 1) - 1) * limit
