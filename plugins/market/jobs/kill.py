"""Kill a job's applications at the ResourceManager; they are found by its tag, whoever submitted them."""

from __future__ import annotations

from market.cluster.clients import resource_manager
from market.cluster.resourcemanager import App


def applications(job_id: str) -> list[App]:
    """Kill every application with this job's tag that has not ended; return them.

    Raises ClusterUnavailable, ClusterRefused.
    """
    yarn = resource_manager()
    found = [app for app in yarn.apps(tags=[job_id]) if not app.ended]
    for app in found:
        yarn.kill(app.application_id)
    return found
