"""The page Projects: those in which a member has a role, one of them with its money, members and jobs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from flask import Response, request
from flask_appbuilder import expose

from market.airflow import menu
from market.jobs import store
from market.jobs.intake.cancel import cancel as cancel_job
from market.jobs.intake.schemas import CancellationSchema
from market.kit.errors import BadInputError, MarketError, NotFoundError
from market.kit.money import parse_credits
from market.kit.paging import Page
from market.kit.vocabulary import ENDED, MANAGER, MEMBER, OWNER, PROJECT_ROLES, VIEWER
from market.kit.wire import loaded
from market.people.member import Member
from market.people.projects import changes, queries, report, transfers
from market.people.projects.schemas import (
    NewProjectSchema,
    ProjectBudgetSchema,
    ProjectMemberInputSchema,
    TransferSchema,
)
from market.web.pages.base import MarketPage, offset, page
from market.web.pages.job_form import messages
from market.web.pages.text import share

_ROWS = 25
_MOST = 200  # members and projects that a page names
_DAY = "must be a day like 2027-01-31"
_MANAGING = (OWNER, MANAGER)


class ProjectsView(MarketPage):
    """A member's projects."""

    route_base = "/market/projects"
    class_permission_name = menu.PROJECTS
    default_view = "projects"
    entry = "Account"

    @expose("/")
    @page("read")
    def projects(self, member: Member) -> Response:
        """List the projects, the newest first, with the form for another one."""
        return self._listed(member)

    @expose("/", methods=["POST"])
    @page("create")
    def create(self, member: Member) -> Response:
        """Make a project, or a part of one that one manages."""
        try:
            given = _filled("name", "title", "budget", "parent_id") | _days("end")
            made = changes.create(member, _loaded(NewProjectSchema(), given))
        except MarketError as error:
            return self._refused(error, lambda **wrong: self._listed(member, **wrong))
        return self.go("ProjectsView.project", "The project is made.", project_id=made["project_id"])

    @expose("/<string:project_id>")
    @page("read")
    def project(self, member: Member, project_id: str) -> Response:
        """Show one project."""
        return self._one(member, project_id)

    @expose("/<string:project_id>/budget", methods=["POST"])
    @page("edit")
    def change(self, member: Member, project_id: str) -> Response:
        """Give a project another title, budget or end."""
        return self._done(
            *(member, project_id, "The project is changed."),
            lambda: changes.change(
                *(member, project_id),
                _loaded(ProjectBudgetSchema(), _filled("title", "budget") | _days("end")),
            ),
        )

    @expose("/<string:project_id>/members", methods=["POST"])
    @page("edit")
    def invite(self, member: Member, project_id: str) -> Response:
        """Take somebody in, or give him another role and cap."""
        name = request.form.get("username", "").strip()

        def act() -> None:
            given = _loaded(ProjectMemberInputSchema(), _filled("role", "month_cap"))
            changes.set_member(member, project_id, name, given)

        return self._done(member, project_id, f"{name} has the role.", act)

    @expose("/<string:project_id>/members/<string:username>/remove", methods=["POST"])
    @page("edit")
    def remove(self, member: Member, project_id: str, username: str) -> Response:
        """Take somebody out, or leave."""
        if username == member.username:
            changes.remove_member(member, project_id, username)
            return self.go("ProjectsView.projects", "You have left the project.")
        return self._done(
            *(member, project_id, f"{username} is taken out."),
            lambda: changes.remove_member(member, project_id, username),
        )

    @expose("/<string:project_id>/transfers", methods=["POST"])
    @page("edit")
    def transfer(self, member: Member, project_id: str) -> Response:
        """Pay into the project from one's own account, or from it to somebody (`payee_id`)."""
        payee = request.form.get("payee_id", "")
        accounts = {"payer_id": project_id, "payee_id": payee} if payee else {
            "payer_id": member.user_id,
            "payee_id": project_id,
        }  # fmt: skip

        def act() -> None:
            given = _loaded(TransferSchema(), _filled("amount", "reason") | accounts)
            transfers.transfer(member, **given)

        return self._done(member, project_id, "The credits are transferred.", act)

    @expose("/<string:project_id>/jobs/<string:job_id>/cancel", methods=["POST"])
    @page("edit")
    def cancel(self, member: Member, project_id: str, job_id: str) -> Response:
        """Cancel a job that the project pays; its owner reads by whom, and why."""
        try:
            cancel_job(member, job_id, **loaded(CancellationSchema(), _filled("reason")))
        except BadInputError as error:  # each job has a form of its own: no field of the page is it
            return self._one(member, project_id, problem=error.detail, status=error.status)
        return self.go(
            "ProjectsView.project",
            "The job is being cancelled. Its owner is told why.",
            project_id=project_id,
        )

    def _done(self, member: Member, project_id: str, notice: str, act: Callable[[], object]) -> Response:
        """Do what a form of a project's page asks for, or show the page again with what is wrong."""
        try:
            act()
        except MarketError as error:
            return self._refused(error, lambda **wrong: self._one(member, project_id, **wrong))
        return self.go("ProjectsView.project", notice, project_id=project_id)

    @staticmethod
    def _refused(error: MarketError, shown: Callable[..., Response]) -> Response:
        if error.status >= 500:
            raise error
        if isinstance(error, BadInputError):
            return shown(errors=messages(error), status=error.status)
        return shown(problem=error.detail, status=error.status)

    def _listed(
        self, member: Member, errors: dict[str, str] | None = None, problem: str = "", status: int = 200
    ) -> Response:
        first = offset(_ROWS)
        listing = queries.list_projects(member, Page(limit=_ROWS, offset=first))
        mine = queries.list_projects(member, Page(limit=_MOST, order_by="name", descending=False)).rows
        return self.show(
            "projects.html",
            member,
            status,
            projects=[_with_bar(row) for row in listing.rows],
            parents=[row for row in mine if row["role"] in _MANAGING],
            total=listing.total,
            number=first // _ROWS + 1,
            pages=max(1, -(-listing.total // _ROWS)),
            sent=request.form,
            errors=errors or {},
            problem=problem,
        )

    def _one(
        self,
        member: Member,
        project_id: str,
        errors: dict[str, str] | None = None,
        problem: str = "",
        status: int = 200,
    ) -> Response:
        found = queries.find(member, project_id)
        manages = found["role"] in _MANAGING
        people = queries.members(member, project_id, Page(limit=_MOST))
        first = offset(_ROWS)
        jobs = (
            store.list_project_jobs(member, project_id, Page(limit=_ROWS, offset=first))
            if manages or member.is_admin
            else None
        )
        return self.show(
            "project.html",
            member,
            status,
            project=_with_bar(found),
            people=people.rows,
            people_total=people.total,
            roles=_grantable(found["role"]),
            payees=_payees(member, found, people.rows),
            month=report.report(member, project_id, None),
            jobs=store.all_to_wire(jobs.rows) if jobs else None,
            jobs_total=jobs.total if jobs else 0,
            number=first // _ROWS + 1,
            pages=max(1, -(-jobs.total // _ROWS)) if jobs else 1,
            ended=ENDED,
            manages=manages,
            owns=found["role"] == OWNER,
            pays_in=found["role"] is not None and found["role"] != VIEWER,
            sets_budget=_sets_budget(member, found),
            sent=request.form,
            errors=errors or {},
            problem=problem,
        )


def _sets_budget(member: Member, project: dict[str, Any]) -> bool:
    """Tell whether he may change the budget: of a top project its owner, else who manages the parent."""
    if project["parent_id"] is None:
        return bool(project["role"] == OWNER)
    try:
        return queries.find(member, project["parent_id"])["role"] in _MANAGING
    except NotFoundError:
        return False


def _grantable(role: str | None) -> list[str]:
    """Return the roles that somebody of a role may give."""
    if role == OWNER:
        return list(reversed(PROJECT_ROLES))
    return [MEMBER, VIEWER] if role == MANAGER else []


def _payees(member: Member, project: dict[str, Any], people: Any) -> list[tuple[str, str]]:
    """Return whom somebody may pay from a project, ids and words: its tree, and for its owner its members."""
    if project["role"] not in _MANAGING:
        return []
    mine = queries.list_projects(member, Page(limit=_MOST, order_by="name", descending=False)).rows
    found = [
        (row["project_id"], f"sub-project {row['name']}")
        for row in mine
        if row["parent_id"] == project["project_id"]
    ]
    if project["parent_id"] is not None:
        found.insert(0, (project["parent_id"], "the project above"))
    if project["role"] == OWNER:
        found += [(row["user_id"], row["username"]) for row in people]
    return found


def _with_bar(project: dict[str, Any]) -> dict[str, Any]:
    """Return a project with how much of its budget is committed, in percent."""
    committed, budget = parse_credits(project["committed"]), parse_credits(project["budget"])
    return {**project, "percent": share(committed, budget)}


def _filled(*names: str) -> dict[str, Any]:
    """Return the fields of the form that were filled in."""
    return {name: text for name in names if (text := request.form.get(name, "").strip())}


def _days(name: str) -> dict[str, Any]:
    """Return the beginning of the day (UTC) in a field of the form in epoch ms, if it was filled in."""
    text = request.form.get(name, "").strip()
    if not text:
        return {}
    try:
        at = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise BadInputError({name: [_DAY]}) from None
    return {name: int(at.timestamp() * 1000)}


def _loaded(schema: Any, given: dict[str, Any]) -> dict[str, Any]:
    return dict(loaded(schema, given))
