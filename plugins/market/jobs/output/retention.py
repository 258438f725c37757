"""Retention of what a job leaves: deleted when its time is over. The lists of it stay (manifests.py)."""

from __future__ import annotations

from typing import Any

from market.cluster.clients import hdfs
from market.cluster.errors import HdfsNotFound
from market.hadoop import paths
from market.kit import database, isolation, settings
from market.kit.clock import now_ms

_BATCH = 50
_DISCARD, _PACKAGES = "discarding results", "discarding packages"
# A job may run for 30 days, and a machine that comes late to it needs its packages then.
_MAX_UNUSED_MS = 31 * 86_400_000
_MAX_PART_MS = 86_400_000  # of what a build left that was stopped while it wrote


def discard() -> None:
    """Delete the folders of jobs whose results are kept no longer."""
    at_ms = now_ms()
    before_ms = at_ms - settings.load().jobs.result_retention_s * 1000
    with database.transaction() as cursor:
        cursor.execute(
            "SELECT job_id, folder FROM job WHERE ended_ms < %s AND discarded_ms IS NULL"  # noqa: S608 - own words
            f" AND {isolation.due('job_id')} ORDER BY ended_ms LIMIT %s",
            [before_ms, _DISCARD, at_ms, _BATCH],
        )
        rows = cursor.fetchall()
    isolation.each(_DISCARD, rows, _discard, lambda row: row.job_id)
    _discard_packages()


def _discard(row: Any) -> None:
    hdfs().delete(paths.stored_folder(row.job_id, row.folder), recursive=True)
    with database.transaction() as cursor:
        cursor.execute("UPDATE job SET discarded_ms = %s WHERE job_id = %s", [now_ms(), row.job_id])


def _discard_packages() -> None:
    """Delete the packages that no job has used for long."""
    files, at_ms = hdfs(), now_ms()
    try:
        kept = files.list(paths.ENVIRONMENTS)
    except HdfsNotFound:
        return
    old = [
        one
        for one in kept
        if at_ms - max(one.modified_ms, one.used_ms)
        > (_MAX_UNUSED_MS if one.name.endswith((".tar", ".json")) else _MAX_PART_MS)
    ]
    isolation.each(
        _PACKAGES, old, lambda one: files.delete(f"{paths.ENVIRONMENTS}/{one.name}"), lambda one: one.name
    )
