"""After any accident: runs that the watch, the tasks and the ResourceManager lost sight of are ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from market.airflow.rest import AirflowRest
from market.jobs.life import orphans, status, watch
from market.jobs.life.state import End
from market.jobs.store import dag_id_of
from market.jobs.submission import applications, submission_lock
from market.kit import database, isolation, settings
from market.kit.clock import now_ms

# Longer than a task with all its tries may take to submit (airflow/dag.py): each of them may wait for an
# earlier one's submission, and then for its own. Where Airflow's run is over nothing comes any more.
_SUBMITTING_MS = 100 * 60_000
_STOPPING_MS = 120_000
# Longer than Airflow takes to begin with a job, as long as it is well and not busy with many others.
_BEGINNING_MS = 300_000


def run_pass() -> None:
    """Move all jobs on, and close those that nobody can bring to an end any more.

    Raises UnavailableError while YARN or Airflow does not answer.
    """
    watch.look()
    orphans.end_all()
    _close_unsubmitted()
    _close_unbegun()


def _close_unsubmitted() -> None:
    """End what a task began to give to YARN, and YARN never had.

    What only waits for a machine of its type was not begun: however long that takes, it is not lost.
    """
    now = now_ms()
    with database.transaction() as cursor:
        cursor.execute(
            "SELECT run.job_id, tag, status, begun_ms, since_ms FROM run JOIN submission USING (tag)"
            " WHERE ended_ms IS NULL AND application_id IS NULL AND status IN ('queued', 'cancelling')"
            " AND CASE status WHEN 'queued' THEN begun_ms + %s ELSE since_ms + %s END < %s",
            [_BEGINNING_MS, _STOPPING_MS, now],
        )
        rows = cursor.fetchall()
    over = _over(rows)

    def close(row: Any) -> None:
        late = row.status == "cancelling" or dag_id_of(row.job_id) in over
        if not (late or now - row.begun_ms > _SUBMITTING_MS) or submission_lock.held(row.tag):
            return
        if app := applications.of(row.tag, forgotten=True):  # its task did not live to say so
            status.submitted(row.tag, app.application_id)
        else:
            reason = "The market could not submit this job. Nothing was charged; submit it again."
            status.end(row.tag, End("failed", "pool_failure", reason))

    isolation.each("closing what was not submitted", rows, close, lambda row: row.tag)


def _close_unbegun() -> None:
    """End what no task will give to YARN: Airflow's run is over, and nothing of the job runs."""
    with database.transaction() as cursor:
        cursor.execute(
            "WITH open AS (SELECT job_id, tag, since_ms, status = 'waiting' OR status = 'queued'"
            "   AND NOT EXISTS (SELECT FROM submission s WHERE s.tag = run.tag) AS unbegun"
            "  FROM run WHERE ended_ms IS NULL)"
            " SELECT job_id, tag FROM open WHERE NOT EXISTS (SELECT FROM open o"
            " WHERE o.job_id = open.job_id AND (NOT o.unbegun OR o.since_ms >= %s))",
            [now_ms() - _BEGINNING_MS],
        )
        rows = cursor.fetchall()
    over = _over(rows)

    def close(row: Any) -> None:
        # It does not say that nothing was charged: an earlier attempt of the point may have cost credits.
        reason = "Airflow gave this run up before it was submitted to YARN. Submit it again."
        status.stop_run(row.tag, "pool_failure", reason)

    given_up = [row for row in rows if dag_id_of(row.job_id) in over]
    isolation.each("closing what Airflow gave up", given_up, close, lambda row: row.tag)


def _over(rows: Sequence[Any]) -> set[str]:
    """Return the DAGs of these jobs whose run is over in Airflow. Raises UnavailableError."""
    if not rows:
        return set()
    with AirflowRest() as airflow:
        return airflow.ended(sorted({dag_id_of(row.job_id) for row in rows}))


def withdraw() -> None:
    """Take the DAG files of jobs that ended some time ago out of the bundle; their history stays in Airflow.

    Airflow would never end a run whose DAG is gone. So a job keeps its file until Airflow's run has ended;
    where Airflow never made a run, as long as the rows of a run are kept. Raises UnavailableError.
    """
    kept, now = settings.load().jobs, now_ms()
    with database.transaction() as cursor:
        cursor.execute(
            "SELECT job_id, ended_ms FROM job WHERE NOT withdrawn AND ended_ms < %s",
            [now - kept.withdraw_after_s * 1000],
        )
        ended = {dag_id_of(row.job_id): row for row in cursor.fetchall()}
    if not ended:
        return
    with AirflowRest() as airflow:
        over = airflow.ended(sorted(ended))
    done = [
        row.job_id
        for dag_id, row in ended.items()
        if dag_id in over or row.ended_ms < now - kept.dag_retention_s * 1000
    ]
    with database.transaction() as cursor:
        cursor.execute(
            "WITH done AS (UPDATE job SET withdrawn = true WHERE job_id = ANY (%s) RETURNING job_id)"
            " SELECT tag FROM done JOIN run USING (job_id)",
            [done],
        )
        tags = [row.tag for row in cursor.fetchall()]
    isolation.each("forgetting locks", tags, submission_lock.forget, str)
