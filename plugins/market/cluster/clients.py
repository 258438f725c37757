"""The clients of this stack's servers, with the addresses and the account of its settings."""

from __future__ import annotations

from pathlib import Path

from market.cluster import tickets
from market.cluster.ended_applications import EndedApplications
from market.cluster.hdfs import Hdfs
from market.cluster.jobhistory import JobHistory
from market.cluster.kdc import GivenKeys, Kdc, Keys
from market.cluster.listing import Lister
from market.cluster.nodemanager import NodeManager
from market.cluster.resourcemanager import ResourceManager
from market.cluster.spark_ui import SparkUi
from market.cluster.tickets import Asker, Named, Signer
from market.kit import settings
from market.kit.settings import Settings

# The name in the settings of each server's address -> what its tickets call it.
_AUDIENCES = {
    "namenode_http": tickets.NAMENODE,
    "datanode_http": tickets.DATANODE,
    "resourcemanager_http": tickets.RESOURCEMANAGER,
    "jobhistory_http": tickets.JOBHISTORY,
    "spark_history_http": tickets.SPARK_HISTORY,
}


def asker(loaded: Settings) -> Asker:
    """Return the service account of a stack, as its servers know it."""
    if not loaded.kerberos:
        return Named(loaded.service.account)
    audiences = {loaded.address(name): audience for name, audience in _AUDIENCES.items()}
    return Signer(loaded.service.account, loaded.secret(tickets.SECRET), audiences)


def resource_manager() -> ResourceManager:
    """Return a client of YARN that acts as the service account."""
    loaded = settings.load()
    return ResourceManager(loaded.url("resourcemanager_http"), asker(loaded))


def ended_applications() -> EndedApplications:
    """Return the ResourceManager's summaries of applications that have ended."""
    return EndedApplications(settings.load().paths.ended_applications)


def hdfs() -> Hdfs:
    """Return a client of HDFS that acts as the service account, its superuser."""
    loaded = settings.load()
    lister = Lister(loaded.paths.submitter_socket)
    return Hdfs(loaded.url("namenode_http"), asker(loaded), lister=lister)


def job_history() -> JobHistory:
    """Return a client of the log server."""
    loaded = settings.load()
    return JobHistory(loaded.url("jobhistory_http"), asker(loaded))


def node_manager(http_address: str) -> NodeManager:
    """Return a client of a machine's NodeManager; `http_address` is host:port."""
    return NodeManager(http_address, asker(settings.load()))


def spark_ui() -> SparkUi:
    """Return a client of running drivers."""
    loaded = settings.load()
    return SparkUi(loaded.url("resourcemanager_http"), asker(loaded))


def keys(loaded: Settings) -> Keys:
    """Return who gives machines their keys; MIT's programs are on this host where that is the market."""
    if loaded.own_realm:
        return Kdc(loaded.paths.krb5_conf, loaded.paths.kdc_conf)
    return GivenKeys(Path(loaded.security.machine_keytabs))
