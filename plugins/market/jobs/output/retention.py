"""Retention of what a job leaves: listed once the job has ended, deleted when its time is over.

The lists stay. All of it runs from the DAG `housekeeping`, so that no job's end waits for it.
"""

from __future__ import annotations

import hashlib
import logging
import re
import time

from psycopg2.extras import execute_values

from market.cluster.clients import hdfs, resource_manager
from market.cluster.errors import HdfsDenied, HdfsNotFound
from market.hadoop import paths
from market.jobs import runs, store
from market.jobs.output import logs, metrics, results
from market.jobs.store import Job
from market.kit import database, settings
from market.kit.clock import now_ms
from market.kit.errors import MarketError, NotFoundError

log = logging.getLogger(__name__)

_BATCH = 50
_SETTLE_MS = 2_000  # what still writes when YARN calls a program ended has stopped by then
_COLLECTED = ("SUCCEEDED", "FAILED", "TIME_OUT", "DISABLED")
_LOGS_LATE_MS = 15 * 60_000  # after this nothing more is collected
_CHECKSUM_S = 20.0  # of each pass, so that new jobs are listed meanwhile
_APPLICATION = re.compile(r"application_\d+_\d+")
_MAX_STAGING_MS = 7 * 86_400_000


def collect() -> None:
    """List the results and logs of ended jobs, and compute checksums of results, for some time."""
    with database.transaction() as cursor:
        cursor.execute(
            "SELECT job_id FROM job WHERE ended_ms < %s AND (results_ms IS NULL OR logs_ms IS NULL)"
            " AND ended_ms IS NOT NULL ORDER BY ended_ms DESC LIMIT %s",
            [now_ms() - _SETTLE_MS, _BATCH],
        )
        job_ids = [row.job_id for row in cursor.fetchall()]
    for job_id in job_ids:
        job = store.find(job_id)
        try:
            if job and job.results_ms is None:
                _list_results(job)
            if job and job.logs_ms is None:
                _list_logs(job)
        except MarketError as error:
            log.warning("the results or logs of job %s are not listed yet: %s", job_id, error.detail)
    metrics.collect()
    _checksums(time.monotonic() + _CHECKSUM_S)


def discard() -> None:
    """Delete the folders of jobs whose results are kept no longer, and what Spark left in staging."""
    before_ms = now_ms() - settings.load().jobs.result_retention_s * 1000
    with database.transaction() as cursor:
        cursor.execute(
            "SELECT job_id FROM job WHERE ended_ms < %s AND discarded_ms IS NULL AND ended_ms IS NOT NULL"
            " AND results_ms IS NOT NULL ORDER BY ended_ms LIMIT %s",
            [before_ms, _BATCH],
        )
        job_ids = [row.job_id for row in cursor.fetchall()]
    for job_id in job_ids:
        hdfs().delete(paths.job_folder(job_id), recursive=True)
        with database.transaction() as cursor:
            cursor.execute("UPDATE job SET discarded_ms = %s WHERE job_id = %s", [now_ms(), job_id])
    _discard_staging()


def _list_results(job: Job) -> None:
    try:
        files = results.walk(job)
    except NotFoundError:
        files = []
    rows = [(job.job_id, path, status.size, status.modified_ms) for path, status in files]
    with database.transaction() as cursor:
        execute_values(
            cursor,
            "INSERT INTO result_file (job_id, path, size, modified_ms) VALUES %s ON CONFLICT DO NOTHING",
            rows,
        )
        cursor.execute("UPDATE job SET results_ms = %s WHERE job_id = %s", [now_ms(), job.job_id])


def _list_logs(job: Job) -> None:
    """List a job's logs when the log server has them all, or will not get any more."""
    late = job.ended_ms is not None and now_ms() - job.ended_ms > _LOGS_LATE_MS
    begun = runs.with_application(job)
    files: list[logs.JobLog] = []
    if begun:
        apps = [resource_manager().app(run.application_id or "") for run in begun]
        if not late and any(app is not None and app.log_aggregation not in _COLLECTED for app in apps):
            return
        try:
            files = logs.look(job)
        except NotFoundError:
            files = []
        if not files and not late:
            return
    rows = [
        (job.job_id, place, file.container_id, file.role, file.host, file.file, file.size, file.point)
        for place, file in enumerate(files)
    ]
    with database.transaction() as cursor:
        cursor.execute(
            "UPDATE job SET logs_ms = %s WHERE job_id = %s AND logs_ms IS NULL", [now_ms(), job.job_id]
        )
        if cursor.rowcount:
            execute_values(cursor, "INSERT INTO log_file VALUES %s", rows)


def _checksums(until: float) -> None:
    """Read result files and store their SHA-256, the smallest first: a large one keeps nobody waiting."""
    while time.monotonic() < until:
        with database.transaction() as cursor:
            cursor.execute(
                "SELECT job_id, path, username FROM result_file JOIN job USING (job_id)"
                " JOIN member USING (user_id) WHERE sha256 IS NULL ORDER BY size LIMIT %s",
                [_BATCH],
            )
            rows = cursor.fetchall()
        if not rows:
            return
        for row in rows:
            checksum = _sha256(row.username, f"{paths.output(row.job_id)}/{row.path}")
            with database.transaction() as cursor:
                cursor.execute(
                    "UPDATE result_file SET sha256 = %s WHERE job_id = %s AND path = %s",
                    [checksum, row.job_id, row.path],
                )
            if time.monotonic() > until:
                return


def _sha256(username: str, path: str) -> str:
    """Return a file's checksum in hex, nothing if its owner cannot read it any more."""
    digest = hashlib.sha256()
    files = hdfs().as_user(username)
    try:
        status = files.status(path)
        if status is None:
            return ""
        for chunk in files.open(path) if status.size else ():
            digest.update(chunk)
    except (HdfsNotFound, HdfsDenied):
        return ""
    return digest.hexdigest()


def _discard_staging() -> None:
    """Delete the staging folders of applications that have ended: Spark leaves those of killed ones."""
    files, folder = hdfs(), f"{paths.STAGING}/.sparkStaging"
    try:
        staging = [status for status in files.list(folder) if _APPLICATION.fullmatch(status.name)]
    except HdfsNotFound:
        return
    with database.transaction() as cursor:
        cursor.execute(
            "SELECT application_id FROM run WHERE ended_ms < %s AND application_id = ANY (%s)",
            [now_ms() - _SETTLE_MS, [status.name for status in staging]],
        )
        ended = {row.application_id for row in cursor.fetchall()}
    for status in staging:
        if status.name in ended or status.modified_ms < now_ms() - _MAX_STAGING_MS:
            files.delete(f"{folder}/{status.name}", recursive=True)
