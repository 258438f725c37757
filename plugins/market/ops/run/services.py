"""The services of the stack: what each runs, what it needs, and how to tell that it is well."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import psycopg2

from distributedmarket.runtime import class_data
from distributedmarket.runtime.java import HADOOP_SERVER, SERVER
from market.cluster import tickets
from market.cluster.clients import asker
from market.cluster.http import Bound, send
from market.cluster.tickets import Asker
from market.hadoop import kerberos, site
from market.hadoop.paths import EVENT_LOGS
from market.kit import tls
from market.kit.environment import inherited
from market.kit.settings import Settings
from market.ops.database.postgres import server_command
from market.ops.install import history_jar
from market.ops.python_path import python_path
from market.ops.run import airflow, kdc, leftovers, submitter

# In this order they start.
DATABASE, HADOOP, HISTORY, API, AIRFLOW = STAGES = range(1, 6)
Check = Callable[[Settings], str]  # what is wrong, in words; empty when all is well

_TIMEOUT_S = 5
_ANSWER = Bound(wait_s=_TIMEOUT_S, max_bytes=16 << 20)
_OK = 200
_BEAT_S = 20  # the watchdog looks every two seconds
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


def java(
    heap_mib: int, main: str, log4j: str = "", audience: str = "", conf: Path | None = None
) -> Callable[[Settings], list[str]]:
    """Return the command of one of Hadoop's servers, which ends when it needs a larger heap.

    The heap is as small as what lives in it (HADOOP_SERVER), so this only bounds a leak: it must be more than
    a full market needs. 930 applications that waited filled a ResourceManager of 96 MiB. `audience` is the
    name that the market's tickets for its pages carry; `conf` stands for the folder of Hadoop's files.
    """

    def command(settings: Settings) -> list[str]:
        hadoop = settings.paths.hadoop
        path = f"{conf or settings.paths.hadoop_conf}:{hadoop}/classes:{hadoop}/jars/*"
        # Jetty unpacks the web pages into the temporary folder: ours, so that nothing lies outside.
        scratch = f"-Djava.io.tmpdir={settings.paths.run}"
        own_log = [f"-Dlog4j.configuration={(settings.paths.hadoop_conf / log4j).as_uri()}"] if log4j else []
        options = [scratch, *own_log, *kerberos.java_options(settings)]
        options += [f"-Dmarket.audience={audience}"] if audience and settings.kerberos else []
        return ["java", f"-Xmx{heap_mib}m", *HADOOP_SERVER, *options, "-cp", path, main]

    return command


def hadoop_environment(settings: Settings) -> dict[str, str]:
    """Return the variables of Hadoop's servers: the account is the superuser of HDFS and YARN's admin.

    That name counts where names are believed; with keys each server logs in as its files say.
    """
    return {
        "HADOOP_USER_NAME": settings.service.account,
        "HADOOP_CONF_DIR": str(settings.paths.hadoop_conf),
        "MALLOC_ARENA_MAX": "2",  # else each of some hundred threads may keep memory of its own
    }


def get_json(url: str, asker: Asker | None = None) -> dict[str, object]:
    """Return the JSON object that an address answers with.

    Raises ClusterUnavailable, and ValueError for another answer.
    """
    answer = send("GET", url, _ANSWER, asker=asker)
    document = answer.json() if answer.status_code == _OK else None
    if not isinstance(document, dict):
        raise ValueError(f"{url} did not answer with a JSON object ({answer.status_code})")
    return document


def _asked(settings: Settings, port: str, path: str) -> dict[str, object]:
    """Return what one of Hadoop's servers, or Spark's, answers to the market."""
    return get_json(settings.url(port) + path, asker(settings))


def _jmx(settings: Settings, port: str, bean: str) -> dict[str, object]:
    beans = _asked(settings, port, f"/jmx?qry={bean}").get("beans")
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
    info = _asked(settings, "resourcemanager_http", "/ws/v1/cluster/info")["clusterInfo"]
    state = info.get("state") if isinstance(info, dict) else info
    return "" if state == "STARTED" else f"state {state}"


def _check_jobhistory(settings: Settings) -> str:
    _asked(settings, "jobhistory_http", "/ws/v1/history/info")
    return ""


def _check_spark_history(settings: Settings) -> str:
    _asked(settings, "spark_history_http", "/api/v1/version")
    return ""


def _api(settings: Settings, path: str) -> dict[str, object]:
    """Return the JSON object that the api-server answers with; raise OSError or ValueError otherwise."""
    with tls.session(settings) as session:
        document = session.get(settings.url("api") + path, timeout=_TIMEOUT_S).json()
    if not isinstance(document, dict):
        raise ValueError(f"{path} did not answer with a JSON object")
    return document


def _check_api(settings: Settings) -> str:
    health = _api(settings, "/market/api/v1/health")
    return "" if health.get("status") in ("healthy", "degraded") else f"health is {health.get('status')}"


def _airflow_component(service: str) -> Check:
    """Airflow calls a component healthy while its last heartbeat is young, even if it was killed since."""
    name = service.replace("-", "_")

    def check(settings: Settings) -> str:
        part = _api(settings, "/api/v2/monitor/health").get(name)
        health = part if isinstance(part, dict) else {}
        if health.get("status") != "healthy":
            return f"its heartbeat is {health.get('status') or 'missing'}"
        last = datetime.fromisoformat(health[f"latest_{name}_heartbeat"]).timestamp()
        begun = leftovers.started(settings.paths.state, service)
        return "" if begun and begun <= last else "it has sent no heartbeat since its start"

    return check


def _check_pool(settings: Settings) -> str:
    nodes = _asked(settings, "resourcemanager_http", "/ws/v1/cluster/nodes").get("nodes") or {}
    listed = nodes.get("node") if isinstance(nodes, dict) else None
    states = [node["state"] for node in listed or [] if node["nodeHostName"] == settings.pool.ip_address]
    return "" if "RUNNING" in states else f"its node is {states[0] if states else 'not registered'}"


def watchdog_beat(settings: Settings) -> Path:
    """Return the file whose time says when the watchdog looked last."""
    return settings.paths.run / "watchdog.beat"


def _check_watchdog(settings: Settings) -> str:
    beat, begun = watchdog_beat(settings), leftovers.started(settings.paths.state, "watchdog")
    looked = beat.stat().st_mtime if beat.exists() else 0.0
    if not begun or looked < begun:
        return "it has not looked since its start"
    return "" if time.time() - looked < _BEAT_S else "it has not looked for a while"


def _airflow(*arguments: str) -> Callable[[Settings], list[str]]:
    return lambda settings: [str(settings.paths.airflow_env / "bin" / "airflow"), *arguments]


def _api_server(settings: Settings) -> list[str]:
    return [str(settings.paths.airflow_env / "bin" / "python"), "-m", "market.airflow.api_server"]


def _airflow_environment(settings: Settings) -> dict[str, str]:
    return airflow.environment(settings)


def _spark_history(settings: Settings) -> list[str]:
    options = {
        "spark.history.fs.logDirectory": settings.hdfs_uri + EVENT_LOGS,
        "spark.history.fs.update.interval": "2s",
        "spark.history.ui.port": str(settings.port("spark_history_http")),
        "spark.history.fs.cleaner.enabled": "true",
        "spark.history.fs.cleaner.maxAge": f"{settings.jobs.result_retention_s}s",
        "spark.history.retainedApplications": "10",
    }
    if settings.kerberos:
        options |= {
            "spark.history.kerberos.enabled": "true",
            "spark.history.kerberos.principal": kerberos.principal(settings, kerberos.HISTORY),
            "spark.history.kerberos.keytab": str(settings.keytab),
            **_history_filter(settings),
        }
    given = [f"-D{name}={value}" for name, value in options.items()] + kerberos.java_options(settings)
    # The runtime's jars come first: the archive of their classes holds for this beginning only.
    path = f"{settings.paths.runtime}/jars/*:{settings.paths.conf / 'spark'}:{settings.paths.hadoop_conf}"
    path += f":{history_jar.jar(settings.paths)}"
    archive = class_data.options(settings.paths.runtime)
    main = "org.apache.spark.deploy.history.HistoryServer"
    scratch = f"-Djava.io.tmpdir={settings.paths.run}"
    return ["java", "-Xmx192m", *SERVER, *archive, scratch, *given, "-cp", path, main]


def _history_filter(settings: Settings) -> dict[str, str]:
    """Return the options by which its pages are for the market alone: they show everybody's jobs."""
    parameters = f"spark.{history_jar.FILTER}.param"
    return {
        "spark.ui.filters": history_jar.FILTER,
        f"{parameters}.key": str(settings.paths.ticket_key_public),
        f"{parameters}.user": settings.service.account,
        "market.audience": tickets.SPARK_HISTORY,
    }


def _spark_history_environment(settings: Settings) -> dict[str, str]:
    host = settings.bind
    return hadoop_environment(settings) | {"SPARK_LOCAL_IP": host, "SPARK_PUBLIC_DNS": host}


def _pool_environment(settings: Settings) -> dict[str, str]:
    return _airflow_environment(settings) | {"PYTHONPATH": python_path(settings.paths.root)}


def _watchdog(settings: Settings) -> list[str]:
    return [str(settings.paths.airflow_env / "bin" / "python"), "-m", "market.ops.run.watchdog"]


def _watchdog_environment(settings: Settings) -> dict[str, str]:
    return {"PYTHONPATH": python_path(settings.paths.root), "PYTHONUNBUFFERED": "1"}


def _pool(settings: Settings) -> list[str]:
    return [str(settings.paths.airflow_env / "bin" / "python"), "-m", "market.ops.run.pool"]


def all_services(settings: Settings) -> list[Service]:
    """Return the services in the order of their start."""
    services = [
        Service(
            "postgres", DATABASE, "postgres", _postgres, _check_postgres, lambda _: {}, "INT"
        ),  # INT: fast shutdown, does not wait for clients
        Service(
            "namenode",
            HADOOP,
            "namenode_http",
            java(1024, "org.apache.hadoop.hdfs.server.namenode.NameNode", audience="namenode"),
            _check_namenode,
            hadoop_environment,
            note=kerberos.told,
        ),
        Service(
            "resourcemanager",
            HADOOP,
            "resourcemanager_http",
            java(1024, site.RESOURCEMANAGER, site.RESOURCEMANAGER_LOG4J, "resourcemanager"),
            _check_resourcemanager,
            hadoop_environment,
            note=kerberos.told,
        ),
        Service(
            "datanode",
            HADOOP,
            "datanode_http",
            java(256, "org.apache.hadoop.hdfs.server.datanode.DataNode", audience="datanode"),
            _check_datanode,
            hadoop_environment,
        ),
        Service(
            "jobhistory",
            HISTORY,
            "jobhistory_http",
            java(256, "org.apache.hadoop.mapreduce.v2.hs.JobHistoryServer", audience="jobhistory"),
            _check_jobhistory,
            hadoop_environment,
        ),
        Service(
            "spark-history",
            HISTORY,
            "spark_history_http",
            _spark_history,
            _check_spark_history,
            _spark_history_environment,
        ),
        Service("api-server", API, "api", _api_server, _check_api, _airflow_environment),
        Service(
            "scheduler",
            AIRFLOW,
            None,
            _airflow("scheduler", _NO_LOG_SERVER),
            _airflow_component("scheduler"),
            _airflow_environment,
        ),
        Service(
            "dag-processor",
            AIRFLOW,
            None,
            _airflow("dag-processor"),
            _airflow_component("dag-processor"),
            _airflow_environment,
        ),
        Service(
            "triggerer",
            AIRFLOW,
            None,
            _airflow("triggerer", _NO_LOG_SERVER),
            _airflow_component("triggerer"),
            _airflow_environment,
        ),
    ]
    services.append(
        Service(
            "submitter",
            AIRFLOW,
            None,
            submitter.command,
            submitter.check,
            submitter.environment,
            note=submitter.note,
        )
    )
    services.append(Service("watchdog", 3, None, _watchdog, _check_watchdog, _watchdog_environment))
    if settings.own_realm:
        services.insert(0, Service("kdc", DATABASE, "kdc", kdc.command, kdc.check, kdc.environment))
    if settings.pool.enabled:
        services.append(
            Service("pool", AIRFLOW, None, _pool, _check_pool, _pool_environment, stop_wait_s=30),
        )
    return services


def environment(settings: Settings, service: Service) -> dict[str, str]:
    """Return the whole environment of a service."""
    return base_environment(settings) | service.environment(settings)


def base_environment(settings: Settings) -> dict[str, str]:
    """Return what every process of the stack carries; by MARKET_STACK, a process tag, it is known as such.

    No PYTHONPATH: Spark would hand on that of whoever submits, a folder of this host, to the jobs.
    """
    config = {name: os.environ[name] for name in ("MARKET_CONFIG",) if name in os.environ}
    return (
        inherited()
        | config
        | {
            "MARKET_STACK": str(settings.paths.state),
            "MARKET_STATE_DIR": str(settings.paths.state),
        }
    )
