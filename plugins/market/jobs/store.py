"""Jobs in the database: a single one, a page of somebody's own, the statuses that a job had."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from market.credits.cost import Cost, of_jobs
from market.hadoop.paths import JobFolder, stored_folder
from market.jobs import points
from market.jobs.spec import JobSpec
from market.kit import database, isolation
from market.kit.clock import now_ms
from market.kit.errors import NotFoundError
from market.kit.money import format_credits
from market.kit.paging import Listing, Page
from market.kit.vocabulary import MANAGER
from market.people.member import Member
from market.people.projects import roles

_SELECT = """
    SELECT j.job_id, j.user_id, m.username, j.job_name, j.spec, j.machine_type, j.core_num, j.status,
           j.reason_code, j.reason, j.application_id, j.added_ms, j.started_ms, j.ended_ms, j.hidden,
           j.cancelled_by, j.warned_ms, j.results_ms, j.logs_ms, j.discarded_ms, j.folder AS own_folder,
           h.rate_micro, h.amount_ucr AS hold_ucr, h.captured_ucr
    FROM job j JOIN member m USING (user_id) JOIN hold h USING (job_id)
"""
_NEARLY_USED = "Nearly all of the hold is used. Extend the job, or it is stopped when the rest is used up."
# What a list may be ordered by -> the column.
_ORDERS = {
    "added_time": "j.added_ms",
    "start_time": "j.started_ms",
    "end_time": "j.ended_ms",
    "job_name": "j.job_name",
    "status": "j.status",
    "machine_type": "j.machine_type",
    "core_num": "j.core_num",
    "duration": "coalesce(j.ended_ms, now_ms()) - j.started_ms",
    "reason_code": "j.reason_code",
    "rate": "h.rate_micro",
    "hold": "h.amount_ucr",
    "used_credit": "h.captured_ucr",
}
ORDER_BY = tuple(_ORDERS)


@dataclass(frozen=True)
class Wanted:
    """Which jobs of a list: what is left as it is leaves out none.

    `search` is a part of the name or of the program's path; times are epoch ms, `before_ms` itself is not
    among them.
    """

    statuses: Sequence[str] = ()
    machine_type: str = ""
    search: str = ""
    since_ms: int | None = None
    before_ms: int | None = None
    hidden: bool = False

    def conditions(self) -> list[tuple[str, object]]:
        """Return what a row has to meet: SQL with one place for a value, and the value."""
        named = (
            "strpos(lower(concat_ws(' ', j.job_name,"
            " (j.spec->>'root_path') || '/' || (j.spec->>'entry_file'))), lower(%s)) > 0"
        )
        asked: list[tuple[str, object]] = [
            ("j.status = ANY (%s)", list(self.statuses)),
            ("j.machine_type = %s", self.machine_type),
            (named, self.search),
        ]
        times = [("j.added_ms >= %s", self.since_ms), ("j.added_ms < %s", self.before_ms)]
        return [one for one in asked if one[1]] + [(sql, ms) for sql, ms in times if ms is not None]


EVERY = Wanted()


@dataclass(frozen=True)
class Job:
    """A job's row with its owner's name and its hold. Times are epoch ms, `_ucr` micro-credits."""

    job_id: str
    user_id: str
    username: str
    job_name: str
    spec: JobSpec
    machine_type: str
    core_num: int
    status: str
    reason_code: str | None
    reason: str
    application_id: str | None
    added_ms: int
    started_ms: int | None
    ended_ms: int | None
    hidden: bool
    cancelled_by: str | None
    rate_micro: int
    hold_ucr: int
    captured_ucr: int
    warned_ms: int | None = None
    results_ms: int | None = None  # when its result files were listed, its logs, and when they were deleted
    logs_ms: int | None = None
    discarded_ms: int | None = None
    own_folder: str | None = None  # as it is stored

    @property
    def folder(self) -> JobFolder:
        """Where it lies in HDFS."""
        return stored_folder(self.job_id, self.own_folder)

    @property
    def ended(self) -> bool:
        """Tell whether it has come to its end."""
        return self.ended_ms is not None

    @property
    def dag_id(self) -> str:
        """Its DAG in Airflow."""
        return dag_id_of(self.job_id)


def dag_id_of(job_id: str) -> str:
    """Return the name of a job's DAG in Airflow."""
    return f"job_{job_id}"


def find(job_id: str) -> Job | None:
    """Return a job, None if there is none."""
    with database.transaction() as cursor:
        cursor.execute(_SELECT + " WHERE j.job_id = %s", [job_id])
        row = cursor.fetchone()
    return _job(row) if row else None


def visible_job(member: Member, job_id: str) -> Job:
    """Return a job that the member may see: his own, hidden or not; an administrator sees all.

    Raises NotFoundError.
    """
    job = find(job_id)
    if job is None or not (member.is_admin or job.user_id == member.user_id):
        raise NotFoundError("There is no such job.")
    return job


def own_job(member: Member, job_id: str) -> Job:
    """Return a job that is the member's own: administrators may look at others', not spend for them.

    Raises NotFoundError.
    """
    job = visible_job(member, job_id)
    if job.user_id != member.user_id:
        raise NotFoundError("There is no such job.")
    return job


def overseen_job(member: Member, job_id: str) -> tuple[Job, str | None]:
    """Return a job that the member may see, or that a project pays which he manages; then its name, too.

    Who manages the payer sees the record and what it cost, and may stop it. The program's logs and results
    stay its owner's: `visible_job`. Raises NotFoundError.
    """
    job = find(job_id)
    if job is not None and job.user_id != member.user_id:
        with database.transaction() as cursor:
            cursor.execute(
                "SELECT name FROM job JOIN project USING (project_id) WHERE job_id = %s"
                " AND project_role(project_id, %s) IN ('owner', 'manager')",
                [job_id, member.user_id],
            )
            if row := cursor.fetchone():
                return job, row.name
    return visible_job(member, job_id), None


def open_jobs() -> list[Job]:
    """Return all jobs that have not ended, oldest first."""
    with database.transaction() as cursor:
        cursor.execute(_SELECT + " WHERE j.ended_ms IS NULL ORDER BY j.added_ms")
        rows = cursor.fetchall()
    jobs: list[Job] = []
    isolation.each("reading jobs", rows, lambda row: jobs.append(_job(row)), lambda row: row.job_id)
    return jobs


def open_ids(user_id: str) -> list[str]:
    """Return the ids of somebody's open jobs, oldest first."""
    with database.transaction() as cursor:
        cursor.execute(
            "SELECT job_id FROM job WHERE user_id = %s AND ended_ms IS NULL ORDER BY added_ms", [user_id]
        )
        return [row.job_id for row in cursor.fetchall()]


def list_jobs(member: Member, page: Page, wanted: Wanted = EVERY) -> Listing[Job]:
    """Return a page of one's own jobs, newest first unless the page says otherwise.

    Those that are not hidden, or with `wanted.hidden` those that are.
    """
    whose = "j.user_id = %s AND j.hidden = %s"
    return _listed(page, whose, [member.user_id, wanted.hidden], wanted)


def list_all_jobs(admin: Member, page: Page, wanted: Wanted = EVERY, owner: str = "") -> Listing[Job]:
    """Return a page of everybody's jobs, with `wanted.hidden` only of those that their owners have hidden.

    `owner` is how his name begins. Raises RoleMissingError to all but administrators.
    """
    admin.require_admin()
    whose = "starts_with(m.username, %s) AND (j.hidden OR NOT %s)"
    return _listed(page, whose, [owner, wanted.hidden], wanted)


def list_project_jobs(member: Member, project_id: str, page: Page, wanted: Wanted = EVERY) -> Listing[Job]:
    """Return a page of the jobs that a project pays, to who manages it; `wanted.hidden`: only hidden ones.

    Raises NotFoundError to outsiders, RoleMissingError to its members and viewers.
    """
    with database.transaction() as cursor:
        standing = roles.seen(cursor, member, project_id)
    if not member.is_admin:
        standing.require(MANAGER)
    whose = "j.project_id = %s AND (j.hidden OR NOT %s)"
    return _listed(page, whose, [project_id, wanted.hidden], wanted)


def _listed(page: Page, where: str, values: list[Any], wanted: Wanted) -> Listing[Job]:
    for condition, value in wanted.conditions():
        where += f" AND {condition}"
        values.append(value)
    column = _ORDERS[page.order_by or "added_time"]
    order = f"{column} {'DESC NULLS LAST' if page.descending else 'ASC NULLS FIRST'}, j.job_id"
    with database.transaction() as cursor:
        cursor.execute(  # own words only
            f"SELECT count(*) FROM job j JOIN member m USING (user_id) WHERE {where}",  # noqa: S608
            values,
        )
        total = cursor.fetchone()[0]
        cursor.execute(
            f"{_SELECT} WHERE {where} ORDER BY {order} LIMIT %s OFFSET %s", [*values, page.limit, page.offset]
        )
        return Listing([_job(row) for row in cursor.fetchall()], total)


def history(job_id: str) -> list[dict[str, object]]:
    """Return the statuses that a job had, oldest first: `{status, at, reason}`."""
    with database.transaction() as cursor:
        cursor.execute(
            "SELECT status, at_ms, reason FROM job_status WHERE job_id = %s ORDER BY seq", [job_id]
        )
        return [{"status": row.status, "at": row.at_ms, "reason": row.reason} for row in cursor.fetchall()]


def to_wire(
    job: Job,
    counts: Mapping[str, dict[str, int]] | None = None,
    costs: Mapping[str, Cost] | None = None,
) -> dict[str, Any]:
    """Return a job as the routes and the pages show it: JobSchema.

    `counts` are the points of each job by their status, `costs` what each has cost; without them they are
    read here.
    """
    if job.spec.grid is not None and counts is None:
        counts = points.counts([job.job_id])
    if costs is None:
        costs = _costs([job])
    cost = costs.get(job.job_id, Cost())
    spec = job.spec.to_json()
    until = job.ended_ms or now_ms()
    return {
        **spec,
        "job_id": job.job_id,
        "user_id": job.user_id,
        "owner": job.username,
        "job_name": job.job_name,
        "status": job.status,
        "reason_code": job.reason_code,
        "reason": job.reason,
        "added_time": job.added_ms,
        "start_time": job.started_ms,
        "end_time": job.ended_ms,
        "duration": None if job.started_ms is None else max(0, until - job.started_ms),
        "rate": format_credits(job.rate_micro),
        "hold": format_credits(job.hold_ucr),
        "used_credit": format_credits(job.captured_ucr),
        "cost": format_credits(cost.ucr),
        "cost_final": cost.final,
        "hidden": job.hidden,
        "warning": _NEARLY_USED if job.warned_ms and not job.ended else None,
        "application_id": None if job.spec.grid else job.application_id,
        "dag_id": job.dag_id,
        **{name: list(value) for name, value in spec.items() if isinstance(value, tuple)},
        "points": None if job.spec.grid is None else (counts or {}).get(job.job_id, {}),
    }


def all_to_wire(jobs: Sequence[Job]) -> list[dict[str, Any]]:
    """Return a page of jobs as `to_wire` does each."""
    counts = points.counts(job.job_id for job in jobs if job.spec.grid is not None)
    costs = _costs(jobs)
    return [to_wire(job, counts, costs) for job in jobs]


def _costs(jobs: Sequence[Job]) -> dict[str, Cost]:
    with database.transaction() as cursor:
        return of_jobs(cursor, [job.job_id for job in jobs])


def _job(row: Any) -> Job:
    return Job(**(row._asdict() | {"spec": JobSpec.from_json(row.spec)}))
