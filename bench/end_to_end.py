"""From submission to result: the market against a raw `spark-submit`, tuned and untouched, on the same pool.

`.market/airflow-env/bin/python bench/end_to_end.py [--pairs 5] [--type gpu]` on a running, quiet stack. It
lends a machine of a type that nobody else lends, and runs the same small program (four Python tasks on two
executors of the same size) in turn three ways: as a job of the market (POST until the job is `succeeded`);
with `spark-submit` and the settings that are known to help; with `spark-submit` and none. The last two use
pyspark as shipped, wait as they do by default, and get neither the market's archives nor its submitter.
Goal: at most 0.55 times the tuned one, and 0.3 times the untouched one.
"""

from __future__ import annotations

import argparse
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "plugins"))

from market import settings
from market.cli.rest import Rest
from market.stack import spark
from market.stack.hadoop import POOL_LABEL
from market.stack.services import base_environment
from market.stack.supervisor import Supervisor

_PROGRAM = """\
from pyspark.sql import SparkSession

spark = SparkSession.builder.getOrCreate()
squares = spark.sparkContext.parallelize(range(1000), 4).map(lambda number: number * number)
print("sum", squares.sum())
spark.stop()
"""
_GOALS = {"tuned": 0.55, "untouched": 0.30}
_DEADLINE_S = 600
_QUICK_JVM = "-XX:+UseSerialGC -XX:TieredStopAtLevel=1"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--type", default="gpu", help="a machine type that nobody else lends")
    chosen = parser.parse_args()
    loaded = settings.load()
    name, person = _person(loaded)
    machine = f"bench-{secrets.token_hex(3)}"
    times: dict[str, list[float]] = {"market": [], "tuned": [], "untouched": []}
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "main.py"
        program.write_text(_PROGRAM)
        person.upload("bench/main.py", program)
        _lend(loaded, person, name, machine, chosen.type, Path(folder))
        raw = _Raw(loaded, name, chosen.type, Path(folder))
        runs: dict[str, Callable[[], None]] = {
            "market": lambda: _job(person, chosen.type),
            "tuned": raw.tuned,
            "untouched": raw.untouched,
        }
        try:
            for number in range(chosen.pairs):
                for title, run in runs.items():
                    started = time.monotonic()
                    run()
                    times[title].append(time.monotonic() - started)
                    print(f"{number + 1}: {title} {times[title][-1]:.1f} s", file=sys.stderr)
        finally:
            Supervisor(loaded).stop_at_once(machine)
    _report(times)


def _report(times: dict[str, list[float]]) -> None:
    ours = statistics.median(times["market"])
    print("\n             median s   the market's share   all")
    for title, taken in times.items():
        middle = statistics.median(taken)
        share = ours / middle
        goal = _GOALS.get(title)
        said = (
            "" if goal is None else f"{share:.2f} (goal {goal:.2f}: {'met' if share <= goal else 'NOT met'})"
        )
        print(f"{title:10}   {middle:8.1f}   {said:18}   {' '.join(f'{one:.1f}' for one in taken)}")


class _Raw:
    """`spark-submit` as a user of YARN would run it, on the same machines and with containers of one size."""

    def __init__(self, loaded: settings.Settings, name: str, kind: str, folder: Path) -> None:
        self._loaded, self._kind, self._folder = loaded, kind, folder
        inherited = spark.environment(loaded)
        (folder / "conf").mkdir()
        self._environment = base_environment(loaded) | {
            "SPARK_HOME": inherited["SPARK_HOME"],
            "SPARK_CONF_DIR": str(folder / "conf"),
            "HADOOP_CONF_DIR": inherited["HADOOP_CONF_DIR"],
            "SPARK_LOCAL_IP": loaded.bind,
            "HADOOP_USER_NAME": name,
        }
        self._remote = f"{loaded.hdfs_uri}/user/{name}/bench/main.py"

    def tuned(self) -> None:
        """Run with the settings that are known to help."""
        runtime = self._loaded.paths.runtime
        conf = {
            "spark.yarn.jars": f"local:{runtime}/jars/*",
            "spark.scheduler.minRegisteredResourcesRatio": "0",
            "spark.ui.enabled": "false",
            "spark.driver.extraJavaOptions": _QUICK_JVM,
            "spark.executor.extraJavaOptions": _QUICK_JVM,
            "spark.yarn.scheduler.heartbeat.interval-ms": "200",
            "spark.yarn.scheduler.initial-allocation.interval": "100ms",
        }
        self._run(self._remote, conf, {"SPARK_SUBMIT_OPTS": _QUICK_JVM})

    def untouched(self) -> None:
        """Run with no setting but where, and how large."""
        self._run(str(self._folder / "main.py"), {}, {})

    def _run(self, program: str, conf: dict[str, str], options: dict[str, str]) -> None:
        words = ["--master", "yarn", "--deploy-mode", "cluster", "--queue", self._kind]
        words += ["--num-executors", "2", "--executor-cores", "1"]
        words += ["--driver-memory", "512m", "--executor-memory", "512m"]
        given = {
            "spark.yarn.am.nodeLabelExpression": POOL_LABEL if self._loaded.pool.enabled else self._kind,
            "spark.yarn.executor.nodeLabelExpression": self._kind,
            "spark.driver.memoryOverhead": f"{self._loaded.jobs.memory_overhead_mib}m",
            "spark.executor.memoryOverhead": f"{self._loaded.jobs.memory_overhead_mib}m",
            # The machines' own variable names the market's class-data archive: Java's, as everywhere else.
            "spark.yarn.appMasterEnv.JDK_JAVA_OPTIONS": "-Xshare:auto",
            "spark.executorEnv.JDK_JAVA_OPTIONS": "-Xshare:auto",
        }
        for name, value in (given | conf).items():
            words += ["--conf", f"{name}={value}"]
        command = [str(Path(self._environment["SPARK_HOME"]) / "bin" / "spark-submit"), *words, program]
        done = subprocess.run(
            command,
            env=self._environment | options,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_DEADLINE_S,
        )
        if done.returncode:
            raise SystemExit(f"spark-submit failed:\n{done.stderr[-2000:]}")


def _job(person: Rest, kind: str) -> None:
    body = {"root_path": "bench", "core_num": 2, "machine_type": kind, "max_credits": "0.500000"}
    job_id = person.post("/jobs", body)["job_id"]
    until = time.monotonic() + _DEADLINE_S
    while (job := person.get(f"/jobs/{job_id}"))["status"] != "succeeded":
        if job["end_time"] or time.monotonic() > until:
            raise SystemExit(f"the job is {job['status']}: {job['reason']}")
        time.sleep(0.1)


def _person(loaded: settings.Settings) -> tuple[str, Rest]:
    name, password = f"bench-{secrets.token_hex(4)}", secrets.token_hex(16)
    market = Rest(loaded.url("api"))
    market.post("/users", {"username": name, "password": password, "email": f"{name}@example.org"})
    (loaded.paths.secrets / name).write_text(password)
    (loaded.paths.secrets / name).chmod(0o600)
    return name, market.login(name, password)


def _lend(loaded: settings.Settings, person: Rest, name: str, machine: str, kind: str, folder: Path) -> None:
    words = [str(loaded.paths.root / "market"), "share", "--name", machine, "--type", kind, "--cores", "2"]
    words += ["--memory", "2g", "--hours", "2", "--username", name, "--server", loaded.url("api")]
    words += ["--password-file", str(loaded.paths.secrets / name)]
    Supervisor(loaded).add(machine, words, {"MARKET_STATE_DIR": str(loaded.paths.state)})
    until = time.monotonic() + _DEADLINE_S
    while not any(one["availability"] == "active" for one in person.get("/machines")["machines"]):
        if time.monotonic() > until:
            raise SystemExit(f"the machine did not become active: see ./market logs {machine}")
        time.sleep(0.5)


if __name__ == "__main__":
    main()
