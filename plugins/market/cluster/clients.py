"""The clients of this stack's servers, with the addresses and the account of its settings."""

from __future__ import annotations

from market import settings
from market.cluster.hdfs import Hdfs
from market.cluster.resourcemanager import ResourceManager


def resource_manager() -> ResourceManager:
    """Return a client of YARN that acts as the service account."""
    loaded = settings.load()
    return ResourceManager(loaded.url("resourcemanager_http"), loaded.service.account)


def hdfs() -> Hdfs:
    """Return a client of HDFS that acts as the service account, its superuser."""
    loaded = settings.load()
    return Hdfs(loaded.url("namenode_http"), loaded.service.account)
