"""The points of a sweep as people see them: parameters, where each stands, what it reported."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from market.jobs import grid as grids
from market.kit import database, table
from market.kit.clock import now_ms


@dataclass(frozen=True)
class Point:
    """A point of a sweep, as its last run stands. Times are epoch ms."""

    point: int
    params: grids.Point
    metrics: dict[str, grids.Value] | None
    status: str
    application_id: str | None
    reason_code: str | None
    reason: str
    started_ms: int | None
    ended_ms: int | None


def of_sweep(job_id: str) -> list[Point]:
    """Return the points of a sweep, by number; of any other job none."""
    with database.transaction() as cursor:
        cursor.execute(
            "SELECT DISTINCT ON (point) point, params, metrics, status, application_id, reason_code, reason,"
            " started_ms, ended_ms FROM job_point JOIN run USING (job_id, point)"
            " WHERE job_id = %s AND params <> '{}' ORDER BY point, attempt DESC",
            [job_id],
        )
        return [Point(*row) for row in cursor.fetchall()]


def counts(job_ids: Iterable[str]) -> dict[str, dict[str, int]]:
    """Return how many points of each job have each status."""
    counted: dict[str, dict[str, int]] = {}
    with database.transaction() as cursor:
        cursor.execute(
            "SELECT job_id, status, count(*) AS points FROM ("
            " SELECT DISTINCT ON (job_id, point) job_id, status FROM run WHERE job_id = ANY (%s)"
            " ORDER BY job_id, point, attempt DESC) last"
            " GROUP BY job_id, status ORDER BY job_id, status",
            [list(job_ids)],
        )
        for row in cursor.fetchall():
            counted.setdefault(row.job_id, {})[row.status] = row.points
    return counted


def as_csv(points: Sequence[Point]) -> str:
    """Return points as comma-separated values: parameters, how each ended, what it reported."""
    names = list(points[0].params) if points else []
    metrics = sorted({name for point in points for name in point.metrics or {}})
    rows: list[list[table.Cell]] = []
    for point in points:
        shown = to_wire(point)
        seconds = "" if shown["duration"] is None else shown["duration"] / 1000
        values = [grids.text(point.params[name]) for name in names]
        reported = [
            grids.text(shown["metrics"][name]) if name in shown["metrics"] else "" for name in metrics
        ]
        rows.append([point.point, *values, point.status, seconds, *reported, point.reason])
    return table.as_csv(["point", *names, "status", "seconds", *metrics, "reason"], rows)


def to_wire(point: Point) -> dict[str, Any]:
    """Return a point as the routes and the pages show it: PointSchema."""
    until = point.ended_ms or now_ms()
    return {
        "point": point.point,
        "params": point.params,
        "status": point.status,
        "reason_code": point.reason_code,
        "reason": point.reason,
        "application_id": point.application_id,
        "start_time": point.started_ms,
        "end_time": point.ended_ms,
        "duration": None if point.started_ms is None else max(0, until - point.started_ms),
        "metrics": point.metrics or {},
    }
