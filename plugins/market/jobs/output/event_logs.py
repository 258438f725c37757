"""Spark's event logs of ended jobs: moved from their owner's home to where the history server reads them.

While a job runs its log lies in the job's folder and counts in its owner's quota. So nobody but the market
writes into what all share, and nobody's programs can fill it.
"""

from __future__ import annotations

import logging

from market.cluster import event_log
from market.cluster.clients import hdfs
from market.cluster.errors import ClusterRefused, HdfsNotFound
from market.hadoop import paths
from market.jobs import runs
from market.jobs.store import Job
from market.kit import settings

log = logging.getLogger(__name__)

_MOST_BYTES = 256 << 20  # with replicas; a longer log would take the others' place


def keep(job: Job) -> None:
    """Move the logs of an ended job's applications, and delete what else lies there.

    They are the market's then, with their owner's name as the group, by which the broom knows whose they are.
    """
    own, account = paths.events(job.folder), settings.load().service.account
    try:
        held = {status.name for status in hdfs().list(own) if status.is_folder}
    except HdfsNotFound:
        return
    for run in runs.with_application(job):
        for name in sorted(held):
            if not name.startswith(event_log.beginning(run.application_id or "")):
                continue
            if hdfs().content_summary(f"{own}/{name}").space_bytes > _MOST_BYTES:
                log.warning("the event log %s is too long to be kept", name)
                continue
            # Closed to its owner first: nothing of his runs any more that has it open.
            hdfs().set_owner(f"{own}/{name}", account, job.username)
            hdfs().set_permission(f"{own}/{name}", "700")
            try:
                hdfs().appear(f"{own}/{name}", f"{paths.EVENT_LOGS}/{name}")
            except ClusterRefused as error:
                log.warning("the event log %s is not kept: %s", name, error)
    hdfs().delete(own, recursive=True)
