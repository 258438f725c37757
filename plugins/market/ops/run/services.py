"""The services of the stack: what each runs, what it needs, and how to tell that it is well."""

from __future__ import annotations

import json
import os
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import psycopg2

from distributedmarket.runtime.java import HADOOP_SERVER, SERVER
from market.kit.settings import Settings
from market.ops.database.postgres import server_command
from market.ops.python_path import python_path
from market.ops.run import airflow, leftovers, submitter

Check = Callable[[Settings], str]  # what is wrong, in words; empty when all is well

_TIMEOUT_S = 5
# Airflow's servers of task logs bind to every address; here all processes read one folder.
_NO_LOG_SERVER = "--skip-serve-logs"


@dataclass(frozen=True)
class Service:
    """A supervised process. `port` names its address in the settings; `stage` orders the start."""

    name: str
    stage: int
    port: str | None
    command: Callable[[Settings], list[str]]
    check: Check
    environment: Callable[[Settings], dict[str, str]]
    stop_signal: str = "TERM"
    stop_wait_s: int = 20
    note: Check = lambda _: ""  # what is worth knowing when all is well


def java(heap_mib: int, main: str) -> Callable[[Settings], list[str]]:
    """Return the command of one of Hadoop's servers, which ends when it needs a larger heap.

    The heap is as small as what lives in it (HADOOP_SERVER), so this only bounds a leak: it must be more than
    a full market needs. 930 applications that waited filled a ResourceManager of 96 MiB.
    """

    def command(settings: Settings) -> list[str]:
        hadoop = settings.paths.hadoop
        path = f"{settings.paths.hadoop_conf}:{hadoop}/classes:{hadoop}/jars/*"
        # Jetty unpacks the web pages into the temporary folder: ours, so that nothing lies outside.
        scratch = f"-Djava.io.tmpdir={settings.paths.run}"
        return ["java", f"-Xmx{heap_mib}m", *HADOOP_SERVER, scratch, "-cp", path, main]

    return command


def hadoop_environment(settings: Settings) -> dict[str, str]:
    """Return the variables of Hadoop's servers: the account is the superuser of HDFS and YARN's admin."""
    return {
        "HADOOP_USER_NAME": settings.service.account,
        "HADOOP_CONF_DIR": str(settings.paths.hadoop_conf),
        "MALLOC_ARENA_MAX": "2",  # else each of some hundred threads may keep memory of its own
    }


def get_json(url: str) -> dict[str, object]:
    """Return the JSON object that an address answers with; raise OSError or ValueError otherwise."""
    with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as response:  # noqa: S310 - own http addresses
        document = json.load(response)
    if not isinstance(document, dict):
        raise ValueError(f"{url} did not answer with a JSON object")
    return document


def _jmx(settings: Settings, port: str, bean: str) -> dict[str, object]:
    beans = get_json(f"{settings.url(port)}/jmx?qry={bean}").get("beans")
    if not isinstance(beans, list) or not beans:
        raise ValueError("not started yet")
    content: dict[str, object] = beans[0]
    return content


def _postgres(settings: Settings) -> list[str]:
    return server_command(settings.paths.data / "postgres", settings.bind, settings.port("postgres"))


def _check_postgres(settings: Settings) -> str:
    url = settings.database_url("postgres", "postgres")
    psycopg2.connect(url, connect_timeout=_TIMEOUT_S).close()
    return ""


def _check_namenode(settings: Settings) -> str:
    state = _jmx(settings, "namenode_http", "Hadoop:service=NameNode,name=FSNamesystemState")
    return "" if state.get("FSState") == "Operational" else f"HDFS is in {state.get('FSState')} mode"


def _check_datanode(settings: Settings) -> str:
    state = _jmx(settings, "namenode_http", "Hadoop:service=NameNode,name=FSNamesystemState")
    if not state.get("NumLiveDataNodes"):
        return "the NameNode does not see it"
    _jmx(settings, "datanode_http", "Hadoop:service=DataNode,name=JvmMetrics")  # files come in here
    return ""


def _check_resourcemanager(settings: Settings) -> str:
    info = get_json(f"{settings.url('resourcemanager_http')}/ws/v1/cluster/info")["clusterInfo"]
    state = info.get("state") if isinstance(info, dict) else info
    return "" if state == "STARTED" else f"state {state}"


def _check_jobhistory(settings: Settings) -> str:
    get_json(f"{settings.url('jobhistory_http')}/ws/v1/history/info")
    return ""


def _check_spark_history(settings: Settings) -> str:
    get_json(f"{settings.url('spark_history_http')}/api/v1/version")
    return ""


def _check_api(settings: Settings) -> str:
    health = get_json(f"{settings.url('api')}/market/api/v1/health")
    return "" if health.get("status") in ("healthy", "degraded") else f"health is {health.get('status')}"


def _airflow_component(service: str) -> Check:
    """Airflow calls a component healthy while its last heartbeat is young, even if it was killed since."""
    name = service.replace("-", "_")

    def check(settings: Settings) -> str:
        part = get_json(f"{settings.url('api')}/api/v2/monitor/health").get(name)
        health = part if isinstance(part, dict) else {}
        if health.get("status") != "healthy":
            return f"its heartbeat is {health.get('status') or 'missing'}"
        last = datetime.fromisoformat(health[f"latest_{name}_heartbeat"]).timestamp()
        begun = leftovers.started(settings.paths.state, service)
        return "" if begun and begun <= last else "it has sent no heartbeat since its start"

    return check


def _check_pool(settings: Settings) -> str:
    nodes = get_json(f"{settings.url('resourcemanager_http')}/ws/v1/cluster/nodes").get("nodes") or {}
    listed = nodes.get("node") if isinstance(nodes, dict) else None
    states = [node["state"] for node in listed or [] if node["nodeHostName"] == settings.pool.ip_address]
    return "" if "RUNNING" in states else f"its node is {states[0] if states else 'not registered'}"


def _airflow(*arguments: str) -> Callable[[Settings], list[str]]:
    return lambda settings: [str(settings.paths.airflow_env / "bin" / "airflow"), *arguments]


def _airflow_environment(settings: Settings) -> dict[str, str]:
    return airflow.environment(settings)


def _spark_history(settings: Settings) -> list[str]:
    options = {
        "spark.history.fs.logDirectory": f"{settings.hdfs_uri}/spark-logs",
        "spark.history.fs.update.interval": "2s",
        "spark.history.ui.port": str(settings.port("spark_history_http")),
        "spark.history.fs.cleaner.enabled": "true",
        "spark.history.fs.cleaner.maxAge": f"{settings.jobs.result_retention_s}s",
        "spark.history.retainedApplications": "10",
    }
    given = [f"-D{name}={value}" for name, value in options.items()]
    path = f"{settings.paths.conf / 'spark'}:{settings.paths.hadoop_conf}:{settings.paths.runtime}/jars/*"
    main = "org.apache.spark.deploy.history.HistoryServer"
    scratch = f"-Djava.io.tmpdir={settings.paths.run}"
    return ["java", "-Xmx192m", *SERVER, scratch, *given, "-cp", path, main]


def _spark_history_environment(settings: Settings) -> dict[str, str]:
    host = settings.bind
    return hadoop_environment(settings) | {"SPARK_LOCAL_IP": host, "SPARK_PUBLIC_DNS": host}


def _pool_environment(settings: Settings) -> dict[str, str]:
    return _airflow_environment(settings) | {"PYTHONPATH": python_path(settings.paths.root)}


def _pool(settings: Settings) -> list[str]:
    return [str(settings.paths.airflow_env / "bin" / "python"), "-m", "market.ops.run.pool"]


def all_services(settings: Settings) -> list[Service]:
    """Return the services in the order of their start."""
    services = [
        Service(
            "postgres", 1, "postgres", _postgres, _check_postgres, lambda _: {}, "INT"
        ),  # INT: fast shutdown, does not wait for clients
        Service(
            "namenode",
            1,
            "namenode_http",
            java(1024, "org.apache.hadoop.hdfs.server.namenode.NameNode"),
            _check_namenode,
            hadoop_environment,
        ),
        Service(
            "resourcemanager",
            1,
            "resourcemanager_http",
            java(1024, "org.apache.hadoop.yarn.server.resourcemanager.ResourceManager"),
            _check_resourcemanager,
            hadoop_environment,
        ),
        Service(
            "datanode",
            1,
            "datanode_http",
            java(256, "org.apache.hadoop.hdfs.server.datanode.DataNode"),
            _check_datanode,
            hadoop_environment,
        ),
        Service(
            "jobhistory",
            2,
            "jobhistory_http",
            java(256, "org.apache.hadoop.mapreduce.v2.hs.JobHistoryServer"),
            _check_jobhistory,
            hadoop_environment,
        ),
        Service(
            "spark-history",
            2,
            "spark_history_http",
            _spark_history,
            _check_spark_history,
            _spark_history_environment,
        ),
        Service("api-server", 2, "api", _airflow("api-server"), _check_api, _airflow_environment),
        Service(
            "scheduler",
            3,
            None,
            _airflow("scheduler", _NO_LOG_SERVER),
            _airflow_component("scheduler"),
            _airflow_environment,
        ),
        Service(
            "dag-processor",
            3,
            None,
            _airflow("dag-processor"),
            _airflow_component("dag-processor"),
            _airflow_environment,
        ),
        Service(
            "triggerer",
            3,
            None,
            _airflow("triggerer", _NO_LOG_SERVER),
            _airflow_component("triggerer"),
            _airflow_environment,
        ),
    ]
    services.append(
        Service(
            "submitter",
            3,
            None,
            submitter.command,
            submitter.check,
            submitter.environment,
            note=submitter.note,
        )
    )
    if settings.pool.enabled:
        services.append(
            Service("pool", 3, None, _pool, _check_pool, _pool_environment, stop_wait_s=30),
        )
    return services


def environment(settings: Settings, service: Service) -> dict[str, str]:
    """Return the whole environment of a service."""
    return base_environment(settings) | service.environment(settings)


def base_environment(settings: Settings) -> dict[str, str]:
    """Return what every process of the stack carries; by MARKET_STACK, a process tag, it is known as such.

    No PYTHONPATH: Spark would hand on that of whoever submits, a folder of this host, to the jobs.
    """
    inherited = ("PATH", "HOME", "LANG", "JAVA_HOME", "TZ", "MARKET_CONFIG")
    kept = {name: os.environ[name] for name in inherited if name in os.environ}
    return kept | {
        "MARKET_STACK": str(settings.paths.state),
        "MARKET_STATE_DIR": str(settings.paths.state),
    }
