"""Runs whose driver's machine was lost while the ResourceManager was away: YARN goes on with the application.

A ResourceManager ends the applications of a machine that falls silent. One that has just started has never
heard of that machine, and waits for the driver itself, for longer than any job may last (kit/deadlines.py).
"""

from __future__ import annotations

import logging
import time

from market.cluster.clients import resource_manager
from market.cluster.resourcemanager import ResourceManager
from market.jobs import runs, store
from market.jobs.life import status
from market.jobs.life.state import End
from market.jobs.runs import Run
from market.kit import deadlines, settings
from market.kit.clock import now_ms

log = logging.getLogger(__name__)

_THERE = ("NEW", "RUNNING", "UNHEALTHY", "DECOMMISSIONING")
# In which the ResourceManager would end the application itself, if it knew of the machine.
_SEEN_GONE_S = 30.0
_gone_since: dict[str, float] = {}  # by application, on the monotonic clock

REASON = "The pool lost the machine that ran the driver. What the job paid is refunded; submit it again."


def end_all() -> None:
    """End the runs whose driver's machine the ResourceManager does not know, or has lost, for some time.

    The watch then kills the application. Raises ClusterUnavailable.
    """
    begun = [
        run for run in runs.under_way(store.open_jobs()) if run.status == "running" and run.application_id
    ]
    for application_id in _gone_since.keys() - {run.application_id for run in begun}:
        _gone_since.pop(application_id, None)
    if not begun:
        return
    yarn = resource_manager()
    if abs(now_ms() - int(yarn.info()["startedOn"])) < deadlines.RECOVERY.ms(settings.load()):
        return  # machines are still coming back
    there = {node.node_id for node in yarn.nodes() if node.state in _THERE}
    for run in begun:
        if _is_gone(yarn, run, there):
            log.warning("run %s: the machine of its driver is gone", run.tag)
            status.end(run.tag, End("lost", "pool_failure", REASON))


def _is_gone(yarn: ResourceManager, run: Run, there: set[str]) -> bool:
    """Tell whether the machine of a run's driver has been gone for some time."""
    application_id = run.application_id or ""
    attempts = yarn.attempts(application_id)
    node_id = attempts[-1].node_id if attempts else ""
    if not node_id or node_id in there:
        _gone_since.pop(application_id, None)
        return False
    return time.monotonic() - _gone_since.setdefault(application_id, time.monotonic()) >= _SEEN_GONE_S
