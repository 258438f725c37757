"""The pages of administrators: people, everybody's jobs and machines, the treasury, and who did what.

What they do to others has a form with a reason; each is one call of a function that checks the role.
"""

from __future__ import annotations

import math

from flask import Response, request
from flask_appbuilder import expose

from market.administration import accounts, treasury, users
from market.administration.schemas import ReasonSchema, SuspensionSchema
from market.airflow import logins, menu
from market.credits import grants, refunds
from market.credits.schemas import GrantSchema, RefundSchema
from market.jobs import store
from market.jobs.intake.cancel import cancel as cancel_job
from market.kit import audit, clock, settings, whole
from market.kit.money import UCR_PER_CREDIT
from market.kit.paging import Page
from market.kit.text import storable
from market.kit.vocabulary import MACHINE_LIVE, MACHINE_STATES, MACHINE_STAYING
from market.kit.wire import loaded
from market.machines import registry
from market.people import members
from market.people.member import Member
from market.web.pages import charts, job_list
from market.web.pages.base import MarketPage, offset, page
from market.web.pages.text import credits_text, places

_ROWS = 25
_FEW = 10  # of one person's
_DAYS = 30
_LATEST_MS = 2**53
_COLUMNS = (
    ("signup", "New people"),
    ("grants", "Grants"),
    ("refunds", "Refunds"),
    ("stipends", "Stipends"),
    ("lost_attempts", "Lost attempts"),
    ("own_machines", "Own machines"),
    ("issued", "Issued"),
)
_STATES = {"live": ("In the pool", MACHINE_LIVE), "all": ("All", MACHINE_STATES)}


class AdministrationView(MarketPage):
    """What administrators see of everybody, and do to others."""

    route_base = "/market/administration"
    class_permission_name = menu.ADMINISTRATION
    default_view = "users"
    entry = "Administration"

    @expose("/")
    @page("read")
    def users(self, member: Member) -> Response:
        """List people, found by how a name or an address begins and by state."""
        state, search = request.args.get("state", users.ALL), _asked("q")
        state = state if state in users.STATES else users.ALL
        after = whole.parsed(request.args.get("after", ""), users.MOST_ID) or 0
        found = users.list_users(member, _ROWS, after, search, state)
        return self.show(
            "administration_users.html",
            member,
            users=found.users,
            cursor=found.cursor,
            after=after,
            search=search,
            chosen=state,
            states=users.STATES,
        )

    @expose("/users/<string:user_id>")
    @page("read")
    def user(self, member: Member, user_id: str) -> Response:
        """Show one person: what he has and does, what was done to him, and the forms that do it."""
        found, person = users.find(member, user_id), members.visible(member, user_id)
        return self.show(
            "administration_user.html",
            member,
            user=found,
            jobs=store.all_to_wire(store.list_jobs(person, Page(limit=_FEW)).rows),
            machines=registry.list_own(person, Page(limit=_FEW)).rows,
            lines=audit.lines(Page(limit=_FEW), None, 0, _LATEST_MS, subject=user_id).rows,
            itself=user_id == member.user_id,
        )

    @expose("/users/<string:user_id>/suspend", methods=["POST"])
    @page("edit")
    def suspend(self, member: Member, user_id: str) -> Response:
        """Suspend an account."""
        form = loaded(SuspensionSchema(), _form("reason", "jobs"))
        accounts.suspend(logins.AirflowLogins(), member, user_id, **form)
        return self._person(user_id, "The account is suspended: its sessions and tokens have ended.")

    @expose("/users/<string:user_id>/reopen", methods=["POST"])
    @page("edit")
    def reopen(self, member: Member, user_id: str) -> Response:
        """Reopen a suspended account."""
        accounts.reopen(member, user_id, **loaded(ReasonSchema(), _form("reason")))
        return self._person(user_id, "The account is open again. Its person has to log in anew.")

    @expose("/users/<string:user_id>/grant", methods=["POST"])
    @page("edit")
    def grant(self, member: Member, user_id: str) -> Response:
        """Give somebody credits."""
        member.require_admin()
        person = members.visible(member, user_id)
        form = loaded(GrantSchema(), _form("amount", "reason"))
        given = grants.give(member.user_id, person.user_id, **form, giver=member.username)
        return self._person(user_id, f"{credits_text(given['amount'])} credits are given.")

    def _person(self, user_id: str, notice: str) -> Response:
        return self.go("AdministrationView.user", notice, user_id=user_id)

    @expose("/jobs/")
    @page("read")
    def jobs(self, member: Member) -> Response:
        """List everybody's jobs."""
        asked = job_list.asked(request.args, status="open")
        first, owner = offset(_ROWS), _asked("owner")
        listing = store.list_all_jobs(member, asked.page(_ROWS, first), asked.wanted, owner)
        return self.show(
            "administration_jobs.html",
            member,
            jobs=store.all_to_wire(listing.rows),
            filters=job_list.FILTERS,
            types=settings.load().types,
            asked=asked,
            owner=owner,
            **_pages(listing.total, first),
        )

    @expose("/jobs/<string:job_id>/cancel", methods=["POST"])
    @page("edit")
    def cancel(self, member: Member, job_id: str) -> Response:
        """Cancel somebody's job; he reads why."""
        cancel_job(member, job_id, **loaded(ReasonSchema(), _form("reason")))
        return self.go("JobsView.job", "The job is being cancelled. Its owner is told why.", job_id=job_id)

    @expose("/jobs/<string:job_id>/refund", methods=["POST"])
    @page("edit")
    def refund(self, member: Member, job_id: str) -> Response:
        """Give back part of what a settled job has paid."""
        member.require_admin()
        store.visible_job(member, job_id)
        form = loaded(RefundSchema(), _form("amount", "reason"))
        given = refunds.give(member.user_id, job_id, **form, giver=member.username)
        notice = f"{credits_text(given['amount'])} credits are given back."
        return self.go("JobsView.job", notice, job_id=job_id)

    @expose("/machines/")
    @page("read")
    def machines(self, member: Member) -> Response:
        """List all machines with their owners and addresses."""
        chosen = request.args.get("state", "live")
        chosen = chosen if chosen in _STATES else "live"
        first, owner = offset(_ROWS), _asked("owner")
        listing = registry.list_all(member, Page(limit=_ROWS, offset=first), _STATES[chosen][1], owner)
        return self.show(
            "administration_machines.html",
            member,
            machines=listing.rows,
            filters=_STATES,
            chosen=chosen,
            owner=owner,
            staying=MACHINE_STAYING,
            **_pages(listing.total, first),
        )

    @expose("/machines/<string:machine_id>/remove", methods=["POST"])
    @page("edit")
    def remove(self, member: Member, machine_id: str) -> Response:
        """Drain somebody's machine and take it out of the pool; he reads why."""
        member.require_admin()
        registry.leave(member, machine_id, **loaded(ReasonSchema(), _form("reason")))
        return self.go("AdministrationView.machines", "The machine takes no more work, and leaves.")

    @expose("/treasury/")
    @page("read")
    def treasury(self, member: Member) -> Response:
        """Show what the treasury gave and got by day, and who gave it why."""
        days = treasury.by_day(member, _DAYS)
        shown = [day.to_wire() for day in reversed(days)]
        return self.show(
            "administration_treasury.html",
            member,
            days=shown,
            columns=[(name, words, places(day[name] for day in shown)) for name, words in _COLUMNS],
            balance=treasury.balance(member),
            gifts=treasury.gifts(member, _ROWS),
            chart=_issued_chart(days),
        )

    @expose("/audit/")
    @page("read")
    def audit(self, member: Member) -> Response:
        """Show who did what, by kind, by who did it and by what it was done to."""
        member.require_admin()
        kind = request.args.get("kind", audit.ADMINISTRATION)
        kind = kind if kind in (*audit.KINDS, "all") else audit.ADMINISTRATION
        actor, subject, first = _asked("actor"), _asked("subject", 300), offset(_ROWS)
        wanted = Page(limit=_ROWS, offset=first)
        found = audit.lines(wanted, None if kind == "all" else kind, 0, _LATEST_MS, actor, subject)
        return self.show(
            "administration_audit.html",
            member,
            lines=found.rows,
            kinds=("all", *audit.KINDS),
            chosen=kind,
            actor=actor,
            subject=subject,
            **_pages(found.total, first),
        )


def _asked(name: str, longest: int = 254) -> str:
    """Return what a search of the address asks for."""
    return storable(request.args.get(name, "").strip(), longest)


def _form(*names: str) -> dict[str, str]:
    return {name: request.form[name].strip() for name in names if name in request.form}


def _pages(total: int, first: int) -> dict[str, int]:
    return {"total": total, "number": first // _ROWS + 1, "pages": max(1, math.ceil(total / _ROWS))}


def _issued_chart(days: list[treasury.Day]) -> charts.Chart | None:
    """Draw what was issued since the first of these days, added up."""
    samples, sum_ucr = [], 0
    for day in days:
        sum_ucr += day.issued_ucr
        samples.append((day.at_ms, sum_ucr / UCR_PER_CREDIT))
    title = f"Issued in the last {len(days)} days"
    return charts.steps(title, samples, clock.now_ms(), lambda figure: credits_text(round(figure, 3)), (0.0,))
