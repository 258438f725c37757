"""The lists of what ended jobs have left, made once: result files, their checksums, log files.

Each kind is a loop of its own (the DAG `housekeeping`), and each job and file is by itself in it.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from typing import Any

from psycopg2.extras import execute_values

from market.cluster.clients import hdfs, resource_manager
from market.cluster.errors import HdfsDenied, HdfsNotFound
from market.hadoop import paths
from market.hadoop.node_config import GRACE_MS
from market.jobs import runs, store
from market.jobs.output import event_logs, logs, results
from market.jobs.store import Job
from market.kit import database, isolation
from market.kit.clock import now_ms
from market.kit.errors import NotFoundError
from market.kit.text import storable

_BATCH = 50
# What still writes when YARN calls a program ended has stopped by then: a driver that is stopped may save its
# last results for as long as its machine lets it (hadoop/node_config.py).
_SETTLE_MS = GRACE_MS + 2_000
_COLLECTED = ("SUCCEEDED", "FAILED", "TIME_OUT", "DISABLED")
_LOGS_LATE_MS = 15 * 60_000  # after this nothing more is collected
_CHECKSUM_S = 20.0  # of each pass, so that new files come in: the smallest first
_CHECKSUMS = "checksums"
_DUE_FILE = isolation.due("job_id || '/' || path")


def list_results() -> None:
    """List the result files of ended jobs, the newest first. Raises ClusterUnavailable."""
    _each_without("results_ms", "listing results", _list_results)


def list_logs() -> None:
    """List the log files of ended jobs, the newest first. Raises ClusterUnavailable."""
    _each_without("logs_ms", "listing logs", _list_logs)


def _each_without(column: str, work: str, make: Callable[[Job], None]) -> None:
    """Make a list for each ended job that has none."""
    at_ms = now_ms()
    with database.transaction() as cursor:
        cursor.execute(
            f"SELECT job_id FROM job WHERE ended_ms < %s AND {column} IS NULL"  # noqa: S608 - own words
            " AND (results_ms IS NULL OR logs_ms IS NULL) AND ended_ms IS NOT NULL"
            f" AND {isolation.due('job_id')} ORDER BY ended_ms DESC LIMIT %s",
            [at_ms - _SETTLE_MS, work, at_ms, _BATCH],
        )
        job_ids = [row.job_id for row in cursor.fetchall()]

    def one(job_id: str) -> None:
        if job := store.find(job_id):
            make(job)

    isolation.each(work, job_ids, one, str)


def _list_results(job: Job) -> None:
    for place in (paths.handed(job.folder), paths.working(job.folder)):
        hdfs().delete(place, recursive=True)  # nobody needs it any more
    try:
        files = results.walk(job)
    except NotFoundError:
        files = []
    event_logs.keep(job)
    # Spark leaves it where an application was killed.
    hdfs().delete(paths.staging(job.folder), recursive=True)
    rows = [(job.job_id, one.path, one.size, one.modified_ms) for one in files]
    with database.transaction() as cursor:
        execute_values(
            cursor,
            "INSERT INTO result_file (job_id, path, size, modified_ms) VALUES %s ON CONFLICT DO NOTHING",
            rows,
            page_size=1000,
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
        (
            job.job_id,
            place,
            file.container_id,
            file.role,
            file.host,
            storable(file.file),
            file.size,
            file.point,
        )
        for place, file in enumerate(files)
    ]
    with database.transaction() as cursor:
        cursor.execute(
            "UPDATE job SET logs_ms = %s WHERE job_id = %s AND logs_ms IS NULL", [now_ms(), job.job_id]
        )
        if cursor.rowcount:
            execute_values(cursor, "INSERT INTO log_file VALUES %s", rows, page_size=1000)


def compute_checksums(lasts_s: float = _CHECKSUM_S) -> None:
    """Read result files and store their SHA-256, the smallest first: a large one keeps nobody waiting.

    It ends after some time, with the file that it is at. Raises ClusterUnavailable.
    """
    until = time.monotonic() + lasts_s
    while time.monotonic() < until:
        at_ms = now_ms()
        with database.transaction() as cursor:
            cursor.execute(
                "SELECT job_id, path, username, folder FROM result_file JOIN job USING (job_id)"  # noqa: S608 - own words
                " JOIN member USING (user_id) WHERE sha256 IS NULL"
                f" AND {_DUE_FILE}"
                " ORDER BY size LIMIT %s",
                [_CHECKSUMS, at_ms, _BATCH],
            )
            rows = cursor.fetchall()
        if not rows:
            return

        def one(row: Any) -> None:
            if time.monotonic() < until:
                folder = paths.stored_folder(row.job_id, row.folder)
                _store_checksum(row, _sha256(row.username, results.places(folder, row.path)))

        isolation.each(_CHECKSUMS, rows, one, _name_of, lambda row, _: _store_checksum(row, ""))


def _name_of(row: Any) -> str:
    return f"{row.job_id}/{row.path}"


def _store_checksum(row: Any, checksum: str) -> None:
    with database.transaction() as cursor:
        cursor.execute(
            "UPDATE result_file SET sha256 = %s WHERE job_id = %s AND path = %s",
            [checksum, row.job_id, row.path],
        )


def _sha256(username: str, places: Sequence[str]) -> str:
    """Return the checksum in hex of the first file that is there, nothing if its owner can read none."""
    files = hdfs().as_user(username)
    for place in places:
        digest = hashlib.sha256()
        try:
            status = files.status(place)
            if status is None or status.is_folder:
                continue
            for chunk in files.open(place) if status.size else ():
                digest.update(chunk)
        except (HdfsNotFound, HdfsDenied):
            continue
        return digest.hexdigest()
    return ""
