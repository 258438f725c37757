"""After any accident: runs that the watch, the tasks and the ResourceManager lost sight of are ended."""

from __future__ import annotations

from market.airflow.rest import AirflowRest
from market.jobs.life import status, watch
from market.jobs.life.state import End
from market.jobs.store import dag_id_of
from market.jobs.submission import submission_lock
from market.kit import database, settings
from market.kit.clock import now_ms

# Longer than a task with all its tries may take to submit.
_SUBMITTING_MS = 20 * 60_000
_STOPPING_MS = 120_000
# Longer than Airflow takes to begin with a job, as long as it is well and not busy with many others.
_BEGINNING_MS = 300_000


def run_pass() -> None:
    """Move all jobs on, and close those that nobody can bring to an end any more.

    Raises UnavailableError while YARN or Airflow does not answer.
    """
    watch.look()
    _close_unsubmitted()
    _close_unbegun()


def _close_unsubmitted() -> None:
    """End what a task took and never gave to YARN."""
    now = now_ms()
    with database.transaction() as cursor:
        cursor.execute(
            "SELECT tag, status, since_ms FROM run"
            " WHERE ended_ms IS NULL AND application_id IS NULL AND status IN ('queued', 'cancelling')"
        )
        rows = cursor.fetchall()
    for row in rows:
        longest_ms = _STOPPING_MS if row.status == "cancelling" else _SUBMITTING_MS
        if now - row.since_ms > longest_ms and not submission_lock.held(row.tag):
            reason = "The market could not submit this job. Nothing was charged; submit it again."
            status.end(row.tag, End("failed", "pool_failure", reason))


def _close_unbegun() -> None:
    """End what no task has taken and none will: Airflow's run is over, and nothing of the job runs."""
    with database.transaction() as cursor:
        cursor.execute(
            "SELECT job_id, tag FROM run"
            " WHERE status = 'waiting' AND since_ms < %s AND NOT EXISTS (SELECT FROM run o"
            " WHERE o.job_id = run.job_id AND o.ended_ms IS NULL AND o.status <> 'waiting')",
            [now_ms() - _BEGINNING_MS],
        )
        rows = cursor.fetchall()
    if not rows:
        return
    with AirflowRest() as airflow:
        over = airflow.ended(sorted({dag_id_of(row.job_id) for row in rows}))
    for row in rows:
        if dag_id_of(row.job_id) in over:
            # It does not say that nothing was charged: an earlier attempt of the point may have cost credits.
            reason = "Airflow gave this run up before it was submitted to YARN. Submit it again."
            status.stop_run(row.tag, "pool_failure", reason)


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
    for tag in tags:
        submission_lock.forget(tag)
