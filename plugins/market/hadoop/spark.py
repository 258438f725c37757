"""Spark's defaults for every job, generated; what a job may change of them is in jobs/spec.py."""

from __future__ import annotations

from market.hadoop import kerberos, paths
from market.kit import deadlines
from market.kit.settings import Settings

# Small machines: the collector without threads starts fastest.
_JVM = "-XX:+UseSerialGC -XX:-UsePerfData"
# Java's optimising compiler compiles what has run 5 000 times: at the start of two executors that takes 2 s
# of processor time, for code that runs at the start only. With thresholds twenty times as high (five times
# for the quick compiler) these seconds are saved, and code that trains is still compiled: k-means takes 0.6
# of the time (bench/java_options.py).
_LATE = {
    "Tier3InvocationThreshold": 1_000,
    "Tier3MinInvocationThreshold": 500,
    "Tier3CompileThreshold": 10_000,
    "Tier3BackEdgeThreshold": 300_000,
    "Tier4InvocationThreshold": 100_000,
    "Tier4MinInvocationThreshold": 12_000,
    "Tier4CompileThreshold": 300_000,
    "Tier4BackEdgeThreshold": 800_000,
}
WORKING_JVM = " ".join([_JVM, *(f"-XX:{name}={value}" for name, value in _LATE.items())])
# Without that compiler Java starts a little faster still: for the driver of a Python program, which only
# plans.
_PLANNING_JVM = f"{_JVM} -XX:TieredStopAtLevel=1"
# Between a driver and its executors, by the key of the application; GCM notices what was changed on its way.
_ENCRYPTED = {"spark.network.crypto.enabled": "true", "spark.network.crypto.cipher": "AES/GCM/NoPadding"}
SHUFFLE = "shuffle"
FALLBACK = "spark.storage.decommission.fallbackStorage.path"


def write(settings: Settings) -> None:
    """Write `conf/spark/spark-defaults.conf` and `conf/spark/log4j2.properties`."""
    folder = settings.paths.conf / "spark"
    folder.mkdir(parents=True, exist_ok=True)
    lines = [f"{name} {value}" for name, value in defaults(settings).items()]
    (folder / "spark-defaults.conf").write_text("\n".join([*lines, ""]))
    (folder / "log4j2.properties").write_text(_LOG4J2)


def defaults(settings: Settings) -> dict[str, str]:
    """Return the options of every job."""
    runtime = settings.paths.runtime
    return {
        "spark.master": "yarn",
        "spark.submit.deployMode": "cluster",
        # Each machine has its own runtime folder; YARN puts that machine's in the place of ours.
        "spark.yarn.jars": f"local:{runtime}/jars/*",
        "spark.yarn.config.gatewayPath": str(runtime),
        "spark.yarn.config.replacementPath": "{{MARKET_RUNTIME}}",
        "spark.driver.extraClassPath": f"{runtime}/jars/*",
        "spark.executor.extraClassPath": f"{runtime}/jars/*",
        "spark.driver.extraJavaOptions": _PLANNING_JVM,
        "spark.executor.extraJavaOptions": WORKING_JVM,
        # Spark takes half of it for the longest pause between a driver's heartbeats, and reads it as an `int`
        # of milliseconds, which ends at 24 days. So a driver is told another one than the ResourceManager.
        f"spark.hadoop.{deadlines.DRIVER.place}": "600000",
        deadlines.SESSION.place: f"{deadlines.SESSION.whole_s(settings)}s",
        deadlines.EXECUTOR_BEAT.place: f"{deadlines.EXECUTOR_BEAT.whole_s(settings)}s",
        deadlines.EXECUTOR.place: f"{deadlines.EXECUTOR.whole_s(settings)}s",
        "spark.yarn.maxAppAttempts": "1",
        "spark.yarn.scheduler.heartbeat.interval-ms": "500",
        "spark.yarn.scheduler.initial-allocation.interval": "100ms",
        # Work starts when the first executor registers, not when most have.
        "spark.scheduler.minRegisteredResourcesRatio": "0",
        "spark.yarn.historyServer.address": settings.address("spark_history_http"),
        "spark.ui.showConsoleProgress": "false",
        "spark.decommission.enabled": "true",
        "spark.storage.decommission.enabled": "true",
        "spark.storage.decommission.rddBlocks.enabled": "true",
        "spark.storage.decommission.shuffleBlocks.enabled": "true",
        "spark.storage.decommission.replicationReattemptInterval": "2s",
        "spark.storage.decommission.fallbackStorage.cleanUp": "true",
        # An executor that drains waits for its tasks, and Spark asks for no other one before it has ended.
        "spark.executor.decommission.forceKillTimeout": f"{task_drain_s(settings)}s",
        "spark.stage.maxConsecutiveAttempts": "10",
        "spark.authenticate": "true",
        **(_ENCRYPTED if settings.wire_encryption else {}),
    }


def fallback(settings: Settings, folder: str) -> str:
    """Return the address (FALLBACK) for shuffled data that no other executor can take: in the job's folder.

    There it is its owner's alone, counts in his quota, and goes with the folder if Spark could not remove it.
    """
    return f"{settings.hdfs_uri}{folder}/{SHUFFLE}/"


def task_drain_s(settings: Settings) -> int:
    """Return how long a task may go on where its machine drains, before it starts again elsewhere.

    It is a quarter of the machine's own time. A task that ends within it loses nothing; a longer one, which
    would most likely be lost in any case, starts again elsewhere without waiting for the machine's end.
    """
    return deadlines.TASK_DRAIN.whole_s(settings)


def environment(settings: Settings) -> dict[str, str]:
    """Return the variables of whoever submits: `spark-submit` of Airflow's tasks, and the warm submitter."""
    runtime = settings.paths.runtime
    return {
        "SPARK_HOME": str(next(runtime.glob("lib/python3*/site-packages/pyspark"), runtime)),
        "SPARK_CONF_DIR": str(settings.paths.conf / "spark"),
        "HADOOP_CONF_DIR": str(settings.paths.hadoop_conf),
        **kerberos.login(settings, kerberos.SUBMITTER),
        "SPARK_LOCAL_IP": settings.bind,
        # Without this Spark uploads its own archive of sources for every job: see installs.py.
        "PYSPARK_ARCHIVES_PATH": f"{settings.hdfs_uri}{paths.PYSPARK_ARCHIVE}",
    }


# Otherwise a third of a short job's log lists handlers of the driver's web pages and who may see them.
_LOG4J2 = """\
rootLogger.level = info
rootLogger.appenderRef.stderr.ref = stderr
appender.stderr.type = Console
appender.stderr.name = stderr
appender.stderr.target = SYSTEM_ERR
appender.stderr.layout.type = PatternLayout
appender.stderr.layout.pattern = %d{yy/MM/dd HH:mm:ss} %p %c{1}: %m%n%ex
logger.jetty.name = org.sparkproject.jetty
logger.jetty.level = warn
logger.pages.name = org.apache.spark.ui.ServerInfo
logger.pages.level = warn
logger.access.name = org.apache.spark.SecurityManager
logger.access.level = warn
"""
