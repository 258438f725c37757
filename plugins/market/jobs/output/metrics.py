"""What the points of a sweep report: a small JSON object that a program leaves in its output folder.

It may be a file `metrics.json`, or what Spark writes for a table of one line: a folder `metrics` or
`metrics.json` with the object in its only part.
"""

from __future__ import annotations

import json
import logging
from math import isfinite

from market.cluster.clients import hdfs
from market.cluster.errors import HdfsDenied, HdfsNotFound
from market.cluster.hdfs import Hdfs
from market.hadoop import paths
from market.jobs import grid
from market.kit import database
from market.kit.clock import now_ms
from market.kit.errors import MarketError

log = logging.getLogger(__name__)

_NAMES = ("metrics.json", "metrics")
_MAX_BYTES = 64 << 10
_MAX_VALUES = 50
_MAX_TEXT = 200
_BATCH = 50
_SETTLE_MS = 1_000


def collect() -> None:
    """Read what points that succeeded have reported, each once."""
    with database.transaction() as cursor:
        cursor.execute(
            "SELECT p.job_id, p.point, m.username FROM job_point p JOIN run r USING (job_id, point)"
            " JOIN job USING (job_id) JOIN member m USING (user_id)"
            " WHERE p.metrics IS NULL AND p.params <> '{}' AND r.status = 'succeeded' AND r.ended_ms < %s"
            " ORDER BY r.ended_ms LIMIT %s",
            [now_ms() - _SETTLE_MS, _BATCH],
        )
        rows = cursor.fetchall()
    for row in rows:
        try:
            metrics = read(hdfs().as_user(row.username), paths.output(row.job_id, row.point))
        except MarketError as error:
            log.warning("the metrics of point %s of job %s: %s", row.point, row.job_id, error.detail)
            continue
        with database.transaction() as cursor:
            cursor.execute(
                "UPDATE job_point SET metrics = %s WHERE job_id = %s AND point = %s",
                [json.dumps(metrics), row.job_id, row.point],
            )


def read(files: Hdfs, folder: str) -> dict[str, grid.Value]:
    """Return the numbers and short texts that a program reported; none where it reported nothing usable."""
    for name in _NAMES:
        if (text := _text(files, f"{folder}/{name}")) is not None:
            return parsed(text)
    return {}


def parsed(text: bytes) -> dict[str, grid.Value]:
    """Return the plain values of a JSON object; of Spark's `write.text` and `write.json` the first line."""
    for candidate in (text, text.partition(b"\n")[0]):
        try:
            value = json.loads(candidate)
        except ValueError:
            continue
        if isinstance(value, dict):
            return {
                name[:_MAX_TEXT]: value[:_MAX_TEXT] if isinstance(value, str) else value
                for name, value in list(value.items())[:_MAX_VALUES]
                if _is_plain(value) and "\0" not in name
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
    # JSON knows no NaN, but Python writes it; PostgreSQL refuses it, and a NUL in a text.
    if isinstance(value, float):
        return isfinite(value)
    return isinstance(value, bool | int) or (isinstance(value, str) and "\0" not in value)
