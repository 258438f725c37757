"""What YARN has, or has had, of a run: its tag names the application, whoever submitted it."""

from __future__ import annotations

from market.cluster.clients import ended_applications, resource_manager
from market.cluster.resourcemanager import App


def of(tag: str, forgotten: bool = False) -> App | None:
    """Return a run's application, the last one where more than one has its tag; None if there is none.

    With `forgotten` also one that has ended so long ago that the ResourceManager does not know it any more:
    that reads a file of some hundred MiB in the worst case. Raises ClusterUnavailable.
    """
    tagged = sorted(resource_manager().apps(tags=[tag]), key=lambda app: app.started_ms)
    if tagged:
        return tagged[-1]
    return ended_applications().with_tag(tag) if forgotten else None
