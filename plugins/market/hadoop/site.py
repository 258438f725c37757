"""Hadoop's configuration files, generated from the settings and the ports in use."""

from __future__ import annotations

from pathlib import Path
from xml.sax.saxutils import escape

from market.hadoop import kerberos, paths, secured
from market.hadoop.allocation import ALLOCATION_MIB
from market.kit import deadlines
from market.kit.settings import Settings

POOL_LABEL = "pool"
NOBODY = "nobody.invalid"
_RESOURCES = "org.apache.hadoop.yarn.util.resource"
_RM = "org.apache.hadoop.yarn.server.resourcemanager"
_LOG4J = """\
log4j.rootLogger=INFO, console
log4j.appender.console=org.apache.log4j.ConsoleAppender
log4j.appender.console.target=System.out
log4j.appender.console.layout=org.apache.log4j.PatternLayout
log4j.appender.console.layout.ConversionPattern=%d{ISO8601} %p %c{1}: %m%n
log4j.logger.org.apache.hadoop.util.NativeCodeLoader=ERROR
"""
# The market's own class (java/hadoop): machines need keys of their own, and a file has the host lists read.
RESOURCEMANAGER = "distributedmarket.hadoop.MarketResourceManager"
# A line for each application that has ended, about a KiB: half a million of them. The market looks there for
# what the ResourceManager has forgotten (cluster/ended_applications.py).
RESOURCEMANAGER_LOG4J = "log4j-resourcemanager.properties"
_SUMMARY = f"{_RM}.RMAppManager$ApplicationSummary"
_SUMMARIES = f"""\
log4j.logger.{_SUMMARY}=INFO, ended
log4j.additivity.{_SUMMARY}=false
log4j.appender.ended=org.apache.log4j.RollingFileAppender
log4j.appender.ended.File={{file}}
log4j.appender.ended.Encoding=UTF-8
log4j.appender.ended.MaxFileSize=64MB
log4j.appender.ended.MaxBackupIndex=7
log4j.appender.ended.layout=org.apache.log4j.PatternLayout
log4j.appender.ended.layout.ConversionPattern=%m%n
"""


def write(settings: Settings) -> None:
    """Write `conf/hadoop` (for servers and clients; holds no secret) and the lists of admitted hosts."""
    folder = write_files(settings.paths.hadoop_conf, settings)
    summaries = settings.paths.ended_applications
    summaries.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    (folder / RESOURCEMANAGER_LOG4J).write_text(_LOG4J + _SUMMARIES.format(file=summaries))
    lists = admission_lists(settings)
    lists.mkdir(mode=0o700, exist_ok=True)
    admitted = "".join(f"{host}\n" for host in sorted(always_admitted(settings)))
    for name, text in {"nodes.include": admitted, "nodes.exclude.xml": "<hosts></hosts>\n"}.items():
        path = lists / name
        if not path.exists():
            path.write_text(text)
    if settings.kerberos:
        kerberos.write(settings)


def write_files(folder: Path, settings: Settings) -> Path:
    """Write Hadoop's files into a folder, and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, properties in files(settings).items():
        (folder / name).write_text(xml(properties))
    (folder / "log4j.properties").write_text(_LOG4J)
    return folder


def admission_lists(settings: Settings) -> Path:
    """Return the folder of `nodes.include` and `nodes.exclude.xml` (which has a time-out for each host)."""
    return settings.paths.conf / "hadoop-admin"


def always_admitted(settings: Settings) -> set[str]:
    """Return the hosts that the include list names whoever is registered.

    An empty list would admit everybody, so one is a name that nobody has. The market's own machine starts
    beside the ResourceManager, before anything could tell that to read the list again.
    """
    return {NOBODY, *([settings.pool.ip_address] if settings.pool.enabled else [])}


def files(settings: Settings) -> dict[str, dict[str, str]]:
    """Return each file's properties."""
    plain = {
        "core-site.xml": core(settings),
        "hdfs-site.xml": _hdfs(settings),
        "yarn-site.xml": _yarn(settings),
        "mapred-site.xml": _mapred(settings),
        "capacity-scheduler.xml": _queues(settings),
    }
    if not settings.kerberos:
        # An empty one takes the place of what an earlier start in the other mode has left.
        return plain | {"hadoop-policy.xml": {}}
    proofs = secured.files(settings)
    return {name: plain.get(name, {}) | proofs.get(name, {}) for name in {**plain, **proofs}}


def xml(properties: dict[str, str]) -> str:
    """Return a Hadoop configuration file."""
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', "<configuration>"]
    for name, value in properties.items():
        lines.append(f"  <property><name>{escape(name)}</name><value>{escape(value)}</value></property>")
    return "\n".join([*lines, "</configuration>", ""])


def core(settings: Settings) -> dict[str, str]:
    """Return core-site.xml: the file system, and who may act for others."""
    account = settings.service.account
    return {
        "fs.defaultFS": settings.hdfs_uri,
        "hadoop.tmp.dir": str(settings.paths.data / "hadoop-tmp"),
        "hadoop.security.authentication": "simple",
        # People of the market need no account in the operating system, and no shell is run to look for one.
        "hadoop.security.group.mapping": "org.apache.hadoop.security.NullGroupsMapping",
        f"hadoop.proxyuser.{account}.hosts": "*" if settings.bind == "0.0.0.0" else settings.bind,  # noqa: S104
        f"hadoop.proxyuser.{account}.users": "*",
        "hadoop.http.staticuser.user": "nobody",
        "ipc.client.connect.max.retries": "3",
        "ipc.client.connect.retry.interval": "500",
    }


def _hdfs(settings: Settings) -> dict[str, str]:
    data = settings.paths.data
    return {
        "dfs.replication": "1",
        # A whole block is charged to a home's quota when it is allocated, so blocks are small.
        "dfs.blocksize": "16m",
        "dfs.namenode.fs-limits.min-block-size": "1024",
        "dfs.permissions.superusergroup": "market-superusers",
        "dfs.namenode.name.dir": f"file://{data}/namenode",
        "dfs.datanode.data.dir": f"file://{data}/datanode",
        "dfs.namenode.rpc-address": settings.address("namenode_rpc"),
        "dfs.namenode.http-address": settings.address("namenode_http"),
        "dfs.datanode.address": settings.address("datanode_data"),
        "dfs.datanode.http.address": settings.address("datanode_http"),
        "dfs.datanode.ipc.address": settings.address("datanode_ipc"),
        "dfs.datanode.hostname": settings.bind,
        "dfs.namenode.datanode.registration.ip-hostname-check": "false",
        "dfs.namenode.safemode.extension": "0",
        "dfs.heartbeat.interval": "1",
        # The first attempt to close a small file is mostly too early; the second would follow after 400 ms.
        "dfs.client.block.write.locateFollowingBlock.initial.delay.ms": "20",
        "dfs.namenode.path.based.cache.refresh.interval.ms": "300000",
        "dfs.namenode.handler.count": "5",
        "dfs.datanode.handler.count": "3",
        "dfs.datanode.du.reserved": str(settings.files.reserved_disk_mib << 20),
        "dfs.disk.balancer.enabled": "false",
        "dfs.client.use.datanode.hostname": "false",
    }


def _yarn(settings: Settings) -> dict[str, str]:
    lists = admission_lists(settings)
    return {
        "yarn.resourcemanager.hostname": settings.bind,
        "yarn.resourcemanager.address": settings.address("resourcemanager_rpc"),
        "yarn.resourcemanager.scheduler.address": settings.address("resourcemanager_scheduler"),
        "yarn.resourcemanager.resource-tracker.address": settings.address("resourcemanager_tracker"),
        "yarn.resourcemanager.admin.address": settings.address("resourcemanager_admin"),
        "yarn.resourcemanager.webapp.address": settings.address("resourcemanager_http"),
        "yarn.resourcemanager.bind-host": settings.bind,
        "yarn.resourcemanager.scheduler.class": f"{_RM}.scheduler.capacity.CapacityScheduler",
        "yarn.resourcemanager.recovery.enabled": "true",
        "yarn.resourcemanager.store.class": f"{_RM}.recovery.FileSystemRMStateStore",
        "yarn.resourcemanager.fs.state-store.uri": f"file://{settings.paths.data}/resourcemanager",
        "yarn.resourcemanager.work-preserving-recovery.scheduling-wait-ms": "2000",
        "yarn.resourcemanager.nodes.include-path": str(lists / "nodes.include"),
        "yarn.resourcemanager.nodes.exclude-path": str(lists / "nodes.exclude.xml"),
        # Those that it forgot are looked up in the file of summaries (cluster/ended_applications.py).
        "yarn.resourcemanager.max-completed-applications": "3000",
        # A program that failed is not run again at its owner's cost; what the pool does to an attempt
        # (node lost, preemption) does not count towards this.
        "yarn.resourcemanager.am.max-attempts": "1",
        "yarn.resourcemanager.nodemanagers.heartbeat-interval-ms": "250",
        "yarn.nm.liveness-monitor.expiry-interval-ms": str(settings.machines.node_expiry_s * 1000),
        deadlines.DRIVER.place: str(deadlines.DRIVER.ms(settings)),
        deadlines.DRIVER_TOKEN.place: str(deadlines.DRIVER_TOKEN.whole_s(settings)),
        "yarn.resourcemanager.decommissioning-nodes-watcher.poll-interval-secs": "2",
        deadlines.PROXY.place: str(deadlines.PROXY.ms(settings)),
        "yarn.acl.enable": "true",
        "yarn.admin.acl": settings.service.account,
        "yarn.node-labels.enabled": "true",
        "yarn.node-labels.fs-store.root-dir": f"file://{settings.paths.data}/node-labels",
        "yarn.node-attribute.fs-store.root-dir": f"file://{settings.paths.data}/node-attributes",
        "yarn.scheduler.minimum-allocation-mb": str(ALLOCATION_MIB),
        "yarn.scheduler.maximum-allocation-mb": str(settings.jobs.max_container_memory_mib),
        "yarn.scheduler.minimum-allocation-vcores": "1",
        "yarn.scheduler.maximum-allocation-vcores": str(settings.jobs.max_cores + 1),
        "yarn.log-aggregation-enable": "true",
        # The 3.5.0 log server serves IndexedFormat for one application only (MAPREDUCE-7539).
        "yarn.log-aggregation.file-formats": "TFile",
        "yarn.nodemanager.remote-app-log-dir": paths.CONTAINER_LOGS,
        "yarn.nodemanager.log-aggregation.compression-type": "gz",
        "yarn.log-aggregation.retain-seconds": str(settings.jobs.result_retention_s),
        "yarn.log.server.url": f"{settings.url('jobhistory_http')}/jobhistory/logs",
        "yarn.timeline-service.enabled": "false",
    }


def _mapred(settings: Settings) -> dict[str, str]:
    return {
        "mapreduce.jobhistory.address": settings.address("jobhistory_rpc"),
        "mapreduce.jobhistory.admin.address": settings.address("jobhistory_admin"),
        "mapreduce.jobhistory.webapp.address": settings.address("jobhistory_http"),
        "mapreduce.jobhistory.bind-host": settings.bind,
        # What the log server keeps for itself: not where everybody may write.
        "yarn.app.mapreduce.am.staging-dir": "/market/mapreduce",
    }


def _queues(settings: Settings) -> dict[str, str]:
    """Return a queue for each machine type, which reaches that type's machines and the pool's own.

    No queue reaches a machine without a label, so one that nobody registered gets no container.
    """
    root = "yarn.scheduler.capacity.root"
    names = list(settings.types)
    properties = {
        "yarn.scheduler.capacity.maximum-am-resource-percent": "1.0",
        "yarn.scheduler.capacity.resource-calculator": f"{_RESOURCES}.DominantResourceCalculator",
        "yarn.scheduler.capacity.node-locality-delay": "-1",
        # On by default since 3.5. One of its threads may read a node while another thread fills it: a job
        # then makes a reservation on the full node, which counts as used. The check at the root queue that
        # would drop the reservation ignores labels, so the last free core of a type stays idle until that
        # node has room.
        "yarn.scheduler.capacity.schedule-asynchronously.enable": "false",
        "yarn.scheduler.capacity.per-node-heartbeat.maximum-container-assignments": "10",
        # One by default: then each heartbeat of a node would bring one executor.
        "yarn.scheduler.capacity.per-node-heartbeat.maximum-offswitch-assignments": "10",
        f"{root}.queues": ",".join([*names, "nobody"]),
        f"{root}.capacity": "100",
        f"{root}.accessible-node-labels": "*",
        f"{root}.acl_submit_applications": " ",
        f"{root}.acl_administer_queue": " ",
        f"{root}.nobody.capacity": "100",
        f"{root}.nobody.accessible-node-labels": " ",
        f"{root}.nobody.acl_submit_applications": " ",
    }
    for label in [*names, POOL_LABEL]:
        properties[f"{root}.accessible-node-labels.{label}.capacity"] = "100"
    share, rest = divmod(100, len(names))
    for number, name in enumerate(names):
        queue = f"{root}.{name}"
        properties |= {
            f"{queue}.capacity": "0",
            f"{queue}.maximum-capacity": "0",
            f"{queue}.accessible-node-labels": f"{name},{POOL_LABEL}",
            f"{queue}.accessible-node-labels.{name}.capacity": "100",
            f"{queue}.accessible-node-labels.{POOL_LABEL}.capacity": str(
                share + (rest if number == 0 else 0)
            ),
            f"{queue}.accessible-node-labels.{POOL_LABEL}.maximum-capacity": "100",
            # Drivers may have this share (1.0: all) of what is guaranteed to the queue there, not of what the
            # queue may use. At 1.0 the second driver of a type would wait, with the pool almost empty.
            f"{queue}.accessible-node-labels.{POOL_LABEL}.maximum-am-resource-percent": "100",
            f"{queue}.default-node-label-expression": name,
            f"{queue}.acl_submit_applications": "*",
            f"{queue}.ordering-policy": "fair",
            f"{queue}.user-limit-factor": "100",
            f"{queue}.minimum-user-limit-percent": "10",
        }
    return properties
