"""A canary's way through Spark: submitted for one machine only, and its result."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from market.cluster.clients import hdfs
from market.cluster.errors import ClusterRefused
from market.hadoop import paths
from market.hadoop.site import POOL_LABEL
from market.hadoop.spark import FALLBACK, fallback
from market.kit import settings
from market.kit.settings import Settings
from market.kit.text import parsed_storable
from market.machines.machine import Machine
from market.machines.measurements import Open, Speeds

ACCOUNT = "spark"  # reserved: nobody can register it
_FOLDER = "/market/canaries"
_PROGRAM = Path(__file__).with_name("runner") / "canary.py"
_HEAP_MIB, _BESIDE_MIB, _WORKER_MIB = 512, 128, 64
_MOST_BUFFER_MIB = 256
_DEADLINE_S = 60
_MOST = 10**12  # of any figure: more than any machine has
# Of a result: the machine's owner may have written it himself.
_MAX_RESULT_BYTES, _MAX_HOST = 1 << 20, 100
_INHERITED = ("PATH", "HOME", "LANG", "TZ", "JAVA_HOME", "HADOOP_", "SPARK_", "MARKET_STACK")


@dataclass(frozen=True)
class Shape:
    """What a canary asks for: cores, memory beside the heap, and how much of it is copied; MiB."""

    cores: int
    overhead_mib: int
    buffer_mib: int


@dataclass(frozen=True)
class Measured:
    """What a canary measured on `host`, and what that host has; `in_time`: all its parts began together."""

    host: str
    speeds: Speeds
    host_cores: int
    host_memory_mib: int
    in_time: bool


def shape(machine: Machine, most_cores: int) -> Shape:
    """Return a canary that fits into a machine: all its cores, unless memory is short for their Python."""
    spare = machine.memory_mib - _HEAP_MIB - _BESIDE_MIB
    buffer = max(16, min(_MOST_BUFFER_MIB, spare // 2))
    cores = max(1, min(machine.core_count, most_cores, (spare - buffer) // _WORKER_MIB))
    return Shape(cores, _BESIDE_MIB + buffer + _WORKER_MIB * cores, buffer)


def submit(canary: Open, machine: Machine, shape: Shape, others: Iterable[str]) -> None:
    """Start a canary on a machine; `others` are the hosts of its type that it must not run on.

    Returns when YARN has it. Raises ClusterRefused with the message of spark-submit.
    """
    loaded, files = settings.load(), hdfs()
    folder = f"{_FOLDER}/{canary.verification_id}"
    files.mkdirs(_FOLDER, permission="755")
    files.mkdirs(folder, permission="700")
    files.set_owner(folder, ACCOUNT, ACCOUNT)
    command = ["spark-submit", "--master", "yarn", "--deploy-mode", "cluster", "--proxy-user", ACCOUNT]
    command += ["--name", f"canary for {machine.display_name}", "--queue", machine.machine_type]
    command += ["--num-executors", "1", "--executor-cores", str(shape.cores)]
    command += ["--executor-memory", f"{_HEAP_MIB}m", "--driver-memory", f"{_HEAP_MIB}m"]
    for name, value in _conf(loaded, canary, machine, shape, others).items():
        command += ["--conf", f"{name}={value}"]
    result = f"{loaded.hdfs_uri}{folder}/result.json"
    command += [str(_PROGRAM), str(shape.cores), str(shape.buffer_mib), result]
    try:
        done = subprocess.run(
            command,
            env=_environment(),
            capture_output=True,
            text=True,
            timeout=_DEADLINE_S,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        raise ClusterRefused(f"spark-submit did not end within {_DEADLINE_S} s") from None
    if done.returncode:
        raise ClusterRefused(f"spark-submit failed: {done.stderr.strip()[-300:]}")


def result(canary: Open) -> Measured | None:
    """Return what a canary measured, None if it left no result that can be read."""
    folder = f"{_FOLDER}/{canary.verification_id}"
    files = hdfs()
    try:
        status = files.status(f"{folder}/result.json")
        if status is None or not 0 < status.size <= _MAX_RESULT_BYTES:
            return None
        return _result(parsed_storable(files.read(f"{folder}/result.json")))
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
        return None


def forget(canary: Open) -> None:
    """Delete a canary's folder. Raises ClusterUnavailable."""
    hdfs().delete(f"{_FOLDER}/{canary.verification_id}", recursive=True)


def _result(document: Any) -> Measured:
    alone, together = document["alone"], list(document["together"])
    hosts = {str(probe["host"])[:_MAX_HOST] for probe in (alone, *together)}
    return Measured(
        host=hosts.pop() if len(hosts) == 1 else "",
        speeds=Speeds(
            one_core=_figure(alone["speed"]),
            all_cores=_figure(sum(float(probe["speed"]) for probe in together)),
            memory_mib_s=_figure(alone["memory_mib_s"]),
        ),
        host_cores=_figure(alone["cores"]),
        host_memory_mib=_figure(alone["memory_mib"]),
        in_time=all(float(probe["late"]) == 0 for probe in together),
    )


def _figure(value: Any) -> int:
    """Return a figure that a machine claims, within what can be stored. Raises ValueError, OverflowError."""
    return min(max(1, round(float(value))), _MOST)


def _conf(
    loaded: Settings, canary: Open, machine: Machine, shape: Shape, others: Iterable[str]
) -> dict[str, str]:
    conf = {
        "spark.yarn.tags": canary.tag,
        "spark.yarn.am.nodeLabelExpression": POOL_LABEL if loaded.pool.enabled else machine.machine_type,
        "spark.yarn.executor.nodeLabelExpression": machine.machine_type,
        "spark.driver.memoryOverhead": f"{loaded.jobs.memory_overhead_mib}m",
        "spark.executor.memoryOverhead": f"{shape.overhead_mib}m",
        "spark.dynamicAllocation.enabled": "false",
        "spark.ui.enabled": "false",
        "spark.eventLog.enabled": "false",
        FALLBACK: fallback(loaded, f"{_FOLDER}/{canary.verification_id}"),
        "spark.task.maxFailures": "1",
        "spark.yarn.stagingDir": loaded.hdfs_uri + paths.STAGING,
        "spark.yarn.submit.waitAppCompletion": "false",
    }
    excluded = ",".join(sorted(others))
    return conf | ({"spark.yarn.exclude.nodes": excluded} if excluded else {})


def _environment() -> dict[str, str]:
    """Return what spark-submit needs of this process's environment: not Airflow's secrets."""
    return {name: value for name, value in os.environ.items() if name.startswith(_INHERITED)}
