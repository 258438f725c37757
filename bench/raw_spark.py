"""`spark-submit` by hand: what measurements compare the market with, on a machine lent for them."""

from __future__ import annotations

import secrets
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support import announce

from distributedmarket.client import MarketClient
from market.hadoop import spark
from market.hadoop.site import POOL_LABEL
from market.kit import settings
from market.ops.cli import own_market
from market.ops.run.services import base_environment
from market.ops.run.supervisor import Supervisor

PROGRAM = """\
from pyspark.sql import SparkSession

spark = SparkSession.builder.getOrCreate()
squares = spark.sparkContext.parallelize(range(1000), 4).map(lambda number: number * number)
print("sum", squares.sum())
spark.stop()
"""
DEADLINE_S = 600
QUICK_JVM = "-XX:+UseSerialGC -XX:TieredStopAtLevel=1"


class Raw:
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
        self._market_conf = inherited["SPARK_CONF_DIR"]
        self._market_pyspark = inherited["PYSPARK_ARCHIVES_PATH"]

    def tuned(self) -> None:
        """Run with the settings that are known to help."""
        runtime = self._loaded.paths.runtime
        conf = {
            "spark.yarn.jars": f"local:{runtime}/jars/*",
            "spark.scheduler.minRegisteredResourcesRatio": "0",
            "spark.ui.enabled": "false",
            "spark.driver.extraJavaOptions": QUICK_JVM,
            "spark.executor.extraJavaOptions": QUICK_JVM,
            "spark.yarn.scheduler.heartbeat.interval-ms": "200",
            "spark.yarn.scheduler.initial-allocation.interval": "100ms",
        }
        self._run(self._remote, conf, {"SPARK_SUBMIT_OPTS": QUICK_JVM})

    def untouched(self) -> None:
        """Run with no setting but where, and how large."""
        self._run(str(self._folder / "main.py"), {}, {})

    def as_the_market(self, conf: dict[str, str]) -> None:
        """Run with the market's own settings, archives included, and with `conf`."""
        inherited = {"SPARK_CONF_DIR": self._market_conf, "PYSPARK_ARCHIVES_PATH": self._market_pyspark}
        # It has no folder of a job, where the market keeps what a lone executor has shuffled.
        ours = {"spark.storage.decommission.enabled": "false"}
        self._run(self._remote, ours | conf, inherited | {"SPARK_SUBMIT_OPTS": QUICK_JVM})

    def _run(self, program: str, conf: dict[str, str], options: dict[str, str]) -> None:
        words = ["--master", "yarn", "--deploy-mode", "cluster", "--queue", self._kind]
        words += ["--num-executors", "2", "--executor-cores", "1"]
        words += ["--driver-memory", "512m", "--executor-memory", "512m"]
        given = {
            "spark.yarn.tags": announce(secrets.token_hex(16)),
            "spark.yarn.am.nodeLabelExpression": POOL_LABEL if self._loaded.pool.enabled else self._kind,
            "spark.yarn.executor.nodeLabelExpression": self._kind,
            "spark.driver.memoryOverhead": f"{self._loaded.jobs.memory_overhead_mib}m",
            "spark.executor.memoryOverhead": f"{self._loaded.jobs.memory_overhead_mib}m",
        }
        if "SPARK_CONF_DIR" not in options:
            # The machines' own variable names the market's class-data archive: Java's, as everywhere else.
            for part in ("spark.yarn.appMasterEnv", "spark.executorEnv"):
                given[f"{part}.JDK_JAVA_OPTIONS"] = "-Xshare:auto"
        for name, value in (given | conf).items():
            words += ["--conf", f"{name}={value}"]
        command = [str(Path(self._environment["SPARK_HOME"]) / "bin" / "spark-submit"), *words, program]
        done = subprocess.run(
            command,
            env=self._environment | options,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
        )
        if done.returncode:
            raise SystemExit(f"spark-submit failed:\n{done.stderr[-2000:]}")


@contextmanager
def on_a_lent_machine(loaded: settings.Settings, kind: str) -> Iterator[tuple[MarketClient, Raw]]:
    """Lend a machine of a type, with the program uploaded; yield its owner, logged in, and his raw way."""
    name, person = _member(loaded)
    machine = f"bench-{secrets.token_hex(3)}"
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "main.py"
        program.write_text(PROGRAM)
        person.upload("bench/main.py", program)
        try:
            _lend(loaded, person, name, machine, kind)
            yield person, Raw(loaded, name, kind, Path(folder))
        finally:
            Supervisor(loaded).stop_at_once(machine)


def _member(loaded: settings.Settings) -> tuple[str, MarketClient]:
    name, password = f"bench-{secrets.token_hex(4)}", secrets.token_hex(16)
    market = own_market.client(loaded)
    market.post("/users", {"username": name, "password": password, "email": f"{name}@example.org"}, key="")
    (loaded.paths.secrets / name).write_text(password)
    (loaded.paths.secrets / name).chmod(0o600)
    return name, market.login(name, password)


def _lend(loaded: settings.Settings, person: MarketClient, name: str, machine: str, kind: str) -> None:
    words = [str(loaded.paths.root / "market"), "share", "--name", machine, "--type", kind, "--cores", "2"]
    words += ["--memory", "2g", "--hours", "2", "--username", name, "--server", loaded.url("api")]
    words += ["--password-file", str(loaded.paths.secrets / name)]
    Supervisor(loaded).add(machine, words, {"MARKET_STATE_DIR": str(loaded.paths.state)})
    until = time.monotonic() + DEADLINE_S
    while not any(one["availability"] == "active" for one in person.get("/machines")["machines"]):
        if time.monotonic() > until:
            raise SystemExit(f"the machine did not become active: see ./market logs {machine}")
        time.sleep(0.5)
