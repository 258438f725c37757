"""Kill a run's applications at the ResourceManager; its tag names them, whoever submitted them."""

from __future__ import annotations

from market.cluster.clients import resource_manager
from market.cluster.resourcemanager import App


def applications(tag: str) -> list[App]:
    """Kill every application with this tag that has not ended; return them.

    All runs of a sweep have its job's id as a tag, too.

    Raises ClusterUnavailable, ClusterRefused.
    """
    yarn = resource_manager()
    apps = [app for app in yarn.apps(tags=[tag]) if not app.ended]
    for app in apps:
        yarn.kill(app.application_id)
    return apps
