"""What this process and its host tell: disks, connections to the database, whether YARN and HDFS answer."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

from market.kit import database, settings
from market.web.api import health
from market.web.api.metrics.exposition import COUNTER, GAUGE, Family, Sample

_HEALTHY = "healthy"


class Services:
    """Whether the parts that the market needs answer, and how often they did not."""

    def __init__(self) -> None:
        self._errors = Counter(dict.fromkeys(health.PARTS, 0))

    def families(self) -> list[Family]:
        """Ask each."""
        states = health.look()
        self._errors.update(name for name, state in states.items() if state != _HEALTHY)
        return [
            Family(
                "market_part_up",
                GAUGE,
                "Whether a part answers: the database, YARN's ResourceManager, HDFS.",
                [Sample(state == _HEALTHY, {"part": name}) for name, state in states.items()],
            ),
            Family(
                "market_part_errors_total",
                COUNTER,
                "How often a part did not answer when it was looked at for these figures.",
                [Sample(count, {"part": name}) for name, count in self._errors.items()],
            ),
        ]


def folders() -> dict[str, Path]:
    """Return the folders whose disks may become full, by the names that the figures give them."""
    paths = settings.load().paths
    data = {name: paths.data / name for name in ("postgres", "namenode", "datanode", "resourcemanager")}
    return data | {"logs": paths.logs, "backups": settings.load().backup_folder}


def disks() -> list[Family]:
    """Return the size and the room of the disk below each folder of data."""
    sizes, free = [], []
    for name, folder in folders().items():
        try:
            usage = shutil.disk_usage(folder)
        except OSError:  # not there: no backup was made yet, or the service has a host of its own
            continue
        sizes.append(Sample(usage.total, {"folder": name}))
        free.append(Sample(usage.free, {"folder": name}))
    return [
        Family("market_disk_size_bytes", GAUGE, "Size of the disk that a folder of data lies on.", sizes),
        Family("market_disk_free_bytes", GAUGE, "What is free on it.", free),
    ]


def connections() -> list[Family]:
    """Return how many connections to the database this process has open and in use."""
    used, kept, most = database.pool_use()
    return [
        Family(
            "market_database_connections",
            GAUGE,
            "Connections of the api-server's process to the database.",
            [Sample(used, {"state": "used"}), Sample(kept, {"state": "kept"})],
        ),
        Family("market_database_connections_max", GAUGE, "How many it may have.", [Sample(most)]),
    ]
