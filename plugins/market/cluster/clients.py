"""The clients of this stack's servers, with the addresses and the account of its settings."""

from __future__ import annotations

from market.cluster.hdfs import Hdfs
from market.cluster.jobhistory import JobHistory
from market.cluster.nodemanager import NodeManager
from market.cluster.resourcemanager import ResourceManager
from market.cluster.spark_ui import SparkUi
from market.kit import settings


def resource_manager() -> ResourceManager:
    """Return a client of YARN that acts as the service account."""
    loaded = settings.load()
    return ResourceManager(loaded.url("resourcemanager_http"), loaded.service.account)


def hdfs() -> Hdfs:
    """Return a client of HDFS that acts as the service account, its superuser."""
    loaded = settings.load()
    return Hdfs(loaded.url("namenode_http"), loaded.service.account)


def job_history() -> JobHistory:
    """Return a client of the log server."""
    loaded = settings.load()
    return JobHistory(loaded.url("jobhistory_http"), loaded.service.account)


def node_manager(http_address: str) -> NodeManager:
    """Return a client of a machine's NodeManager; `http_address` is host:port."""
    return NodeManager(http_address, settings.load().service.account)


def spark_ui() -> SparkUi:
    """Return a client of running drivers."""
    loaded = settings.load()
    return SparkUi(loaded.url("resourcemanager_http"), loaded.service.account)
