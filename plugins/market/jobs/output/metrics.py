"""What the points of a sweep report: a small JSON object that a program leaves in its output folder.

It may be a file `metrics.json`, or what Spark writes for a table of one line: a folder `metrics` or
`metrics.json` with the object in its only part.
"""

from __future__ import annotations

import json
from math import isfinite
from typing import Any

from market.cluster.clients import hdfs
from market.cluster.errors import HdfsDenied, HdfsNotFound
from market.cluster.hdfs import Hdfs
from market.hadoop import paths
from market.jobs import grid
from market.kit import database, isolation
from market.kit.clock import now_ms
from market.kit.text import parsed_storable

_NAMES = ("metrics.json", "metrics")
_MAX_BYTES = 64 << 10
_MAX_VALUES = 50
_MAX_TEXT = 200
_BATCH = 50
_SETTLE_MS = 1_000
_MAX_BITS = 256  # of a whole number
_WORK = "metrics"
_DUE = isolation.due("p.job_id || '-' || p.point")


def collect() -> None:
    """Read what points that succeeded have reported, each once. Raises ClusterUnavailable."""
    at_ms = now_ms()
    with database.transaction() as cursor:
        cursor.execute(
            "SELECT p.job_id, p.point, m.username, folder FROM job_point p JOIN run r USING (job_id, point)"  # noqa: S608 - own words
            " JOIN job USING (job_id) JOIN member m USING (user_id)"
            " WHERE p.metrics IS NULL AND p.params <> '{}' AND r.status = 'succeeded' AND r.ended_ms < %s"
            f" AND {_DUE}"
            " ORDER BY r.ended_ms LIMIT %s",
            [at_ms - _SETTLE_MS, _WORK, at_ms, _BATCH],
        )
        rows = cursor.fetchall()

    def one(row: Any) -> None:
        job = paths.stored_folder(row.job_id, row.folder)
        folders = (paths.output(job, row.point), paths.results(job, row.point))
        _store(row, read(hdfs().as_user(row.username), *folders))

    isolation.each(_WORK, rows, one, lambda row: f"{row.job_id}-{row.point}", lambda row, _: _store(row, {}))


def _store(row: Any, metrics: dict[str, grid.Value]) -> None:
    with database.transaction() as cursor:
        cursor.execute(
            "UPDATE job_point SET metrics = %s WHERE job_id = %s AND point = %s",
            [json.dumps(metrics), row.job_id, row.point],
        )


def read(files: Hdfs, *folders: str) -> dict[str, grid.Value]:
    """Return the numbers and short texts that a program reported; none where it reported nothing usable."""
    for folder in folders:
        for name in _NAMES:
            if (text := _text(files, f"{folder}/{name}")) is not None:
                return parsed(text)
    return {}


def parsed(text: bytes) -> dict[str, grid.Value]:
    """Return the plain values of a JSON object; of Spark's `write.text` and `write.json` the first line."""
    for candidate in (text, text.partition(b"\n")[0]):
        try:
            value = parsed_storable(candidate)
        except ValueError:
            continue
        if isinstance(value, dict):
            return {
                name[:_MAX_TEXT]: value[:_MAX_TEXT] if isinstance(value, str) else value
                for name, value in list(value.items())[:_MAX_VALUES]
                if _is_plain(value)
            }
    return {}


def _text(files: Hdfs, path: str) -> bytes | None:
    try:
        status = files.status(path)
        if status is not None and status.is_folder:
            parts = [part for part in files.list(path) if part.name.startswith("part-") and part.size]
            if not parts:
                return None
            path, status = f"{path}/{parts[0].name}", parts[0]
        if status is None or not status.size:
            return None
        return b"".join(files.open(path, length=min(status.size, _MAX_BYTES)))
    except (HdfsNotFound, HdfsDenied):
        return None


def _is_plain(value: object) -> bool:
    if isinstance(value, float):  # JSON knows no NaN, but Python writes it; PostgreSQL refuses it
        return isfinite(value)
    if isinstance(value, int):
        return value.bit_length() <= _MAX_BITS
    return isinstance(value, str)
