"""A running driver's own REST interface, through the ResourceManager's proxy.

The answer comes from somebody else's program: it is bounded in time and size, no redirect is followed, no
cookie is kept, and each value is checked to be a number or cut to a short text.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from market.cluster.errors import ClusterUnavailable
from market.cluster.http import Bound, opened
from market.cluster.shares import Share
from market.cluster.tickets import Asker

_TOTAL_S = 4.0
_MAX_BYTES = 4 << 20
_OK = 200
_MAX_STAGES = 50
_MAX_NAME = 400
_FOLDERS = re.compile(r" at /.*/")


@dataclass(frozen=True)
class Stage:
    """A stage that runs."""

    stage_id: int
    name: str
    status: str
    tasks_done: int
    tasks_total: int


@dataclass(frozen=True)
class Progress:
    """How far an application is: tasks of all its Spark jobs so far, stages that run, live executors."""

    tasks_done: int
    tasks_total: int
    executors: int
    stages: tuple[Stage, ...]


class SparkUi:
    """A client; `asker` is who asks the ResourceManager's proxy."""

    def __init__(self, resource_manager_url: str, asker: Asker) -> None:
        self._base = resource_manager_url.rstrip("/") + "/proxy"
        self._asker = asker

    def progress(self, application_id: str) -> Progress | None:
        """Return how far a driver is, None if there is none (yet, or any more) that answers in time."""
        until = time.monotonic() + _TOTAL_S
        path = f"{self._base}/{quote(application_id)}/api/v1/applications/{quote(application_id)}"
        share = Share(application_id)
        jobs = self._get(f"{path}/jobs", share, until)
        if jobs is None:
            return None
        stages = self._get(f"{path}/stages?status=active", share, until) or []
        executors = self._get(f"{path}/executors", share, until) or []
        return Progress(
            tasks_done=sum(_count(job, "numCompletedTasks") for job in jobs),
            tasks_total=sum(max(0, _count(job, "numTasks") - _count(job, "numSkippedTasks")) for job in jobs),
            executors=sum(
                1
                for executor in executors
                if executor.get("id") != "driver" and executor.get("isActive") is True
            ),
            stages=tuple(_stage(stage) for stage in stages[:_MAX_STAGES]),
        )

    def _get(self, url: str, share: Share, until: float) -> list[dict[str, Any]] | None:
        bound = Bound(max(0.0, until - time.monotonic()), _MAX_BYTES)
        headers = {"Accept": "application/json"}
        try:
            with opened("GET", url, bound, share, self._asker, headers=headers) as answer:
                rows = answer.whole().json() if answer.status_code == _OK else None
        except ClusterUnavailable:
            return None
        return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else None


def _count(row: Mapping[str, Any], name: str) -> int:
    value = row.get(name)
    return value if type(value) is int and 0 <= value < 1 << 40 else 0


def _stage(row: Mapping[str, Any]) -> Stage:
    return Stage(
        stage_id=_count(row, "stageId"),
        # Folders of the machine that runs the driver are nobody's business: "sum at main.py:10".
        name=_FOLDERS.sub(" at ", str(row.get("name", ""))[:_MAX_NAME]),
        status=str(row.get("status", ""))[:20],
        tasks_done=_count(row, "numCompleteTasks"),
        tasks_total=_count(row, "numTasks"),
    )
