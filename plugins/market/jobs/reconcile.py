"""After any accident: what the watch, the tasks and the ResourceManager lost sight of comes to an end."""

from __future__ import annotations

from market import db, settings
from market.clock import now_ms
from market.jobs import status, submission_lock, watch

# Longer than a task with all its tries may take to submit.
_SUBMITTING_MS = 20 * 60_000
_STOPPING_MS = 120_000


def run_pass() -> None:
    """Move all jobs on, and close those that nobody can bring to an end any more."""
    watch.look()
    now = now_ms()
    with db.transaction() as cursor:
        cursor.execute(
            "SELECT job_id::text AS tag, j.status, max(s.at_ms) AS since_ms"
            " FROM job j JOIN job_status s USING (job_id)"
            " WHERE ended_ms IS NULL AND application_id IS NULL AND j.status IN ('queued', 'cancelling')"
            " AND NOT EXISTS (SELECT FROM job_point p WHERE p.job_id = j.job_id) GROUP BY job_id"
            " UNION ALL SELECT job_id || '-' || point, status, since_ms FROM job_point"
            " WHERE ended_ms IS NULL AND application_id IS NULL AND status IN ('queued', 'cancelling')"
        )
        found = cursor.fetchall()
    for row in found:
        waited, most = now - row.since_ms, _STOPPING_MS if row.status == "cancelling" else _SUBMITTING_MS
        if waited > most and not submission_lock.held(row.tag):
            said = "The market could not submit this job. Nothing was charged; submit it again."
            status.end(row.tag, status.End("failed", "pool_failure", said))


def withdraw() -> None:
    """Take the DAG files of jobs that ended some time ago out of the bundle; their history stays in Airflow.

    Airflow no longer looks at a run whose DAG is gone, so a job whose run may not have ended keeps its file.
    """
    after_ms = settings.load().jobs.withdraw_after_s * 1000
    with db.transaction() as cursor:
        cursor.execute(
            "WITH ended AS (UPDATE job SET withdrawn = true WHERE NOT withdrawn AND ended_ms < %s"
            " RETURNING job_id)"
            " SELECT job_id::text AS tag FROM ended"
            " UNION ALL SELECT job_id || '-' || point FROM ended JOIN job_point USING (job_id)",
            [now_ms() - after_ms],
        )
        ended = [row.tag for row in cursor.fetchall()]
    for tag in ended:
        submission_lock.forget(tag)
