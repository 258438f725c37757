"""The page My jobs: the list, the form that submits, and a job's own page with its actions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from flask import Response, request
from flask_appbuilder import expose

from market.airflow import menu
from market.credits import receipt as receipts
from market.credits import summary as summaries
from market.hadoop import allocation
from market.jobs import points, store
from market.jobs.intake.cancel import cancel as cancel_job
from market.jobs.intake.cancel import hide as hide_job
from market.jobs.intake.cancel import unhide as unhide_job
from market.jobs.intake.extend import extend as extend_job
from market.jobs.intake.retry import retry as retry_job
from market.jobs.intake.submit import submit as submit_job
from market.jobs.life import waiting
from market.jobs.output import used
from market.kit import database, settings, whole
from market.kit.errors import BadInputError, MarketError, NotFoundError
from market.kit.money import UCR_PER_CREDIT, format_credits, parse_credits
from market.kit.vocabulary import CANCELLING, ENDED, OPEN, REASONS, WAY
from market.machines import supply
from market.people.member import Member
from market.web.pages import job_form, job_list
from market.web.pages.base import MarketPage, offset, page
from market.web.pages.text import statuses_of_jobs
from market.web.schemas.jobs import JobSchema

_ROWS = 50


class _Action(NamedTuple):
    """What may be done to several jobs at once, and what they are then."""

    do: Callable[[Member, str], object]
    words: str


_ON_SELECTED = {
    "cancel": _Action(cancel_job, "being cancelled, or had ended"),
    "hide": _Action(hide_job, "off the list"),
    "unhide": _Action(unhide_job, "on the list again"),
}

_CUT = (
    "This form cannot show all of: {}. A value there is empty or has several lines. "
    "“Run again” on the job's page takes it as it was."
)


class JobsView(MarketPage):
    """A member's jobs."""

    route_base = "/market/jobs"
    class_permission_name = menu.JOBS
    default_view = "jobs"
    entry = "My jobs"

    @expose("/")
    @page("read")
    def jobs(self, member: Member) -> Response:
        """List the member's jobs, newest first."""
        asked = job_list.asked(request.args)
        first = offset(_ROWS)
        listing = store.list_jobs(member, asked.page(_ROWS, first), asked.wanted)
        return self.show(
            "jobs.html",
            member,
            jobs=store.all_to_wire(listing.rows),
            total=listing.total,
            number=first // _ROWS + 1,
            pages=max(1, math.ceil(listing.total / _ROWS)),
            filters=job_list.FILTERS,
            types=settings.load().types,
            asked=asked,
            ended=ENDED,
            open_jobs=len(store.open_ids(member.user_id)),
            held=summaries.summary(member.user_id)["held"],
            statuses=statuses_of_jobs(),
        )

    @expose("/list.csv")
    @page("read")
    def csv(self, member: Member) -> Response:
        """Return all jobs that the list's filters leave as comma-separated values, in its order."""
        text = job_list.as_csv(member, job_list.asked(request.args))
        headers = {"Content-Disposition": "attachment; filename=jobs.csv", "Cache-Control": "no-store"}
        return Response(text, headers=headers, mimetype="text/csv")

    @expose("/selected", methods=["POST"])
    @page("edit")
    def selected(self, member: Member) -> Response:
        """Do one thing to all jobs that were chosen on the list."""
        wanted = request.form.getlist("job")[:_ROWS]
        action = _ON_SELECTED.get(request.form.get("do", ""))
        if action is None:
            raise BadInputError({"do": [f"must be one of: {', '.join(_ON_SELECTED)}"]})
        kept = job_list.asked(request.form).kept
        if not wanted:
            return self.go("JobsView.jobs", "No job is chosen: tick those that are meant.", "warn", **kept)
        refused: list[str] = []
        for job_id in wanted:
            try:
                action.do(member, job_id)
            except MarketError as error:
                if error.status >= 500:
                    raise
                refused.append(error.detail)
        done = len(wanted) - len(refused)
        notice = f"{done} {'job is' if done == 1 else 'jobs are'} {action.words}."
        if refused:
            notice += f" {len(refused)} could not be: {' '.join(dict.fromkeys(refused))}"
        return self.go("JobsView.jobs", notice, "warn" if refused else "good", **kept)

    @expose("/new")
    @page("create")
    def new(self, member: Member) -> Response:
        """Show the form of a new job: empty, or with all that an earlier job had (`?like=JOB`)."""
        if earlier := request.args.get("like", ""):
            values, lost = job_form.like(store.to_wire(store.own_job(member, earlier)))
            problem = _CUT.format(", ".join(name.replace("_", " ") for name in lost)) if lost else ""
            return self._form(member, values, {}, problem)
        folder = request.args.get("folder", ".")
        return self._form(member, job_form.empty(settings.load(), folder), {})

    @expose("/new", methods=["POST"])
    @page("create")
    def submit(self, member: Member) -> Response:
        """Submit a job, or show the form again with what is wrong."""
        try:
            answer = submit_job(member, job_form.body(request.form))
        except BadInputError as error:
            return self._form(member, job_form.given(request.form), job_form.messages(error), status=422)
        except NotFoundError:
            raise
        except MarketError as error:
            if error.status >= 500:
                raise
            return self._form(member, job_form.given(request.form), {}, error.detail, error.status)
        return self.go("JobsView.job", "The job is submitted.", job_id=answer["job_id"])

    def _form(
        self,
        member: Member,
        values: dict[str, object],
        errors: dict[str, str],
        problem: str = "",
        status: int = 200,
    ) -> Response:
        return self.show(
            "submit.html",
            member,
            status,
            values=values,
            errors=errors,
            problem=problem,
            types=settings.load().types,
            unoffered=_unoffered(),
            limits=settings.load().jobs,
            most_heap_mib=allocation.most_heap_mib(),
            available=summaries.summary(member.user_id)["available"],
        )

    @expose("/<string:job_id>")
    @page("read")
    def job(self, member: Member, job_id: str) -> Response:
        """Show one job: where it stands, what it costs, its results and logs."""
        found = store.visible_job(member, job_id)
        job = store.to_wire(found)
        with database.transaction() as cursor:
            receipt = receipts.receipt(cursor, job_id)
            told_use = used.shown(cursor, found)
        return self.show(
            "job.html",
            member,
            job=job,
            waiting=waiting.why(found, supply.of),
            receipt=receipt,
            used=told_use,
            steps=steps(job["status"], store.history(job_id)),
            open=job["status"] in OPEN,
            advice=REASONS.get(job.get("reason_code") or "", ""),
            doubled=_doubled(job["hold"]),
            **_point_table(job_id),
        )

    @expose("/<string:job_id>/points")
    @page("read")
    def points(self, member: Member, job_id: str) -> Response:
        """Return the table of a sweep's points alone, for the page to put in anew."""
        return self.show("points.html", member, **_point_table(store.visible_job(member, job_id).job_id))

    @expose("/<string:job_id>/retry", methods=["POST"])
    @page("create")
    def retry(self, member: Member, job_id: str) -> Response:
        """Submit the points of an ended sweep that did not succeed as a new job."""
        answer = retry_job(member, job_id, {})
        return self.go("JobsView.job", "The points are submitted again.", job_id=answer["job_id"])

    @expose("/<string:job_id>/again", methods=["POST"])
    @page("create")
    def again(self, member: Member, job_id: str) -> Response:
        """Submit the same job once more, at the rate of now."""
        record = JobSchema().dump(store.to_wire(store.own_job(member, job_id)))
        answer = submit_job(member, record)
        return self.go("JobsView.job", "The same job is submitted again.", job_id=answer["job_id"])

    @expose("/<string:job_id>/cancel", methods=["POST"])
    @page("edit")
    def cancel(self, member: Member, job_id: str) -> Response:
        """Cancel a job."""
        answer = cancel_job(member, job_id)
        ended = answer["status"] in ENDED
        return self.go(
            "JobsView.job",
            "The job has ended." if ended else "The job is being cancelled.",
            job_id=job_id,
        )

    @expose("/<string:job_id>/extend", methods=["POST"])
    @page("edit")
    def extend(self, member: Member, job_id: str) -> Response:
        """Raise a job's limit of credits or of time, at the rate that was locked for it."""
        body: dict[str, object] = {}
        if text := request.form.get("max_credits", "").strip():
            body["max_credits"] = text
        if text := request.form.get("minutes", "").strip():
            minutes = whole.parsed(text, 10**9)
            body["max_duration"] = text if minutes is None else minutes * 60
        try:
            extend_job(member, job_id, body)
        except MarketError as error:
            if error.status >= 500 or isinstance(error, NotFoundError):
                raise
            return self.go("JobsView.job", f"Not extended. {_in_words(error)}", "bad", job_id=job_id)
        return self.go("JobsView.job", "The job may now use more.", job_id=job_id)

    @expose("/<string:job_id>/hide", methods=["POST"])
    @page("delete")
    def hide(self, member: Member, job_id: str) -> Response:
        """Take an ended job off the list; its receipt stays."""
        hide_job(member, job_id)
        return self.go("JobsView.jobs", "The job is off the list. “Hidden” above the list has it.")

    @expose("/<string:job_id>/unhide", methods=["POST"])
    @page("delete")
    def unhide(self, member: Member, job_id: str) -> Response:
        """Put a hidden job onto the list again."""
        unhide_job(member, job_id)
        return self.go("JobsView.job", "The job is on the list again.", job_id=job_id)


def steps(status: str, history: list[dict[str, object]]) -> list[dict[str, object]]:
    """Return the steps of a job's way, each with its time once it was reached.

    `history` are the statuses it had: `{status, at}`. A step that was jumped over counts as done.
    """
    times = {str(line["status"]): line["at"] for line in reversed(history)}
    last = "ended" if status not in (*ENDED, CANCELLING) else status
    reached = max((WAY.index(name) for name in times if name in WAY), default=0)
    ended = status in ENDED
    shown: list[dict[str, object]] = []
    for index, name in enumerate(WAY):
        now = not ended and status == name
        skipped = (ended or status == CANCELLING) and index > reached
        kind = "now" if now else "" if skipped or index > reached else "done"
        shown.append({"name": name, "at": times.get(name), "kind": kind})
    tones = {
        "succeeded": "now end good",
        "failed": "now end bad",
        "lost": "now end bad",
        "cancelled": "now end none",
    }
    closing = tones.get(status, "now warn" if status == CANCELLING else "")
    shown.append({"name": last, "at": times.get(status) if ended else None, "kind": closing})
    return shown


def _point_table(job_id: str) -> dict[str, Any]:
    """Return what the table of points shows: rows, the names of its columns, each figure's largest value."""
    rows = [points.to_wire(point) for point in points.of_sweep(job_id)]
    metrics = sorted({name for point in rows for name in point["metrics"]})
    largest = {}
    for name in metrics:
        values = [point["metrics"].get(name) for point in rows]
        figures = [
            value for value in values if isinstance(value, int | float) and not isinstance(value, bool)
        ]
        if figures and min(figures) >= 0 and max(figures) > 0:
            largest[name] = max(figures)
    return {
        "points": rows,
        "names": list(rows[0]["params"]) if rows else [],
        "metrics": metrics,
        "largest": largest,
    }


def _in_words(error: MarketError) -> str:
    """Return what is wrong with an entry, by the words that the page has for the fields."""
    if not isinstance(error, BadInputError):
        return error.detail
    names = {"max_credits": "At most, credits", "minutes": "At most, minutes"}
    wrong = job_form.messages(error)
    return " ".join(f"{names.get(field, field)}: {words}." for field, words in wrong.items())


def _unoffered() -> set[str]:
    """Return the machine types of which no machine takes work now."""
    with database.transaction() as cursor:
        return {name for name in settings.load().types if not supply.of(cursor, name).active}


def _doubled(hold: str) -> str:
    """Return twice the hold as the suggestion for an extension, in whole hundredths."""
    step = UCR_PER_CREDIT // 100
    return format_credits(-(-2 * parse_credits(hold) // step) * step)
