"""Homes in HDFS: `/user/<username>`, for its owner alone, with a quota."""

from __future__ import annotations

from market.cluster.clients import hdfs
from market.hadoop import paths
from market.kit import database, isolation
from market.kit.errors import TooLargeError
from market.kit.settings import load

_MIB = 1 << 20
# HDFS charges a whole block (dfs.blocksize) when it begins one.
BLOCK_BYTES = 16 << 20
_JOB_NAMES = 20  # files and folders that the smallest job leaves, what Spark stages included
# For whoever has no room left, where something of his is to be written.
MAKE_ROOM = "Delete files, or results of jobs (DELETE /jobs/ID/results)."
FULL = f"Your home is full: its quota holds for your files and for what your jobs have left. {MAKE_ROOM}"


def path(username: str) -> str:
    """Return a user's home folder in HDFS."""
    return paths.home(username)


def make(username: str) -> None:
    """Make a user's home, and the folder that his logs are collected into, with the quotas of the settings.

    Again: owner, mode and quota are set anew. Raises ClusterUnavailable if HDFS does not answer.
    """
    limits = load().files
    _make(path(username), username, "700", limits.home_quota_names, limits.home_quota_mib)
    logs = paths.container_logs(username)
    _make(logs, username, "770", limits.log_quota_names, limits.log_quota_mib)  # YARN's own mode


def remove(username: str) -> None:
    """Delete a user's home and the folder of his logs, with all that is in them; again: what is left.

    Raises ClusterUnavailable.
    """
    for folder in (path(username), paths.container_logs(username)):
        hdfs().delete(folder, recursive=True)


def _make(folder: str, username: str, mode: str, names: int, mib: int) -> None:
    files = hdfs()
    files.mkdirs(folder, permission=mode)
    files.set_owner(folder, username, username)
    files.set_permission(folder, mode)
    files.set_quota(folder, names, mib * _MIB)


def check_room(username: str) -> None:
    """Check that a home has room for what the smallest job writes. Raises TooLargeError."""
    usage = hdfs().usage(path(username))
    no_names = 0 <= usage.names_quota < usage.names + _JOB_NAMES
    if no_names or 0 <= usage.space_quota_bytes < usage.space_bytes + BLOCK_BYTES:
        raise TooLargeError(FULL)


def renew() -> None:
    """Give every member's home and folder of logs the quotas of the settings. Raises ClusterUnavailable."""
    with database.transaction() as cursor:
        cursor.execute("SELECT username FROM member WHERE erasing_ms IS NULL ORDER BY username")
        names = [row.username for row in cursor.fetchall()]
    isolation.each("homes", names, make, str)
