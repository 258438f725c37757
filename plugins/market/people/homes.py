"""Homes in HDFS: `/user/<username>`, for its owner alone, with a quota."""

from __future__ import annotations

from market.cluster.clients import hdfs
from market.kit.settings import load

_MIB = 1 << 20


def path(username: str) -> str:
    """Return a user's home folder in HDFS."""
    return f"/user/{username}"


def make(username: str) -> None:
    """Make a user's home with the quota of the settings; again: owner, mode and quota are set anew.

    Raises ClusterUnavailable if HDFS does not answer.
    """
    files, home, limits = hdfs(), path(username), load().files
    files.mkdirs(home, permission="700")
    files.set_owner(home, username, username)
    files.set_permission(home, "700")
    files.set_quota(home, limits.home_quota_names, limits.home_quota_mib * _MIB)
