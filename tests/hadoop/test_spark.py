"""What every job's Spark is told."""

from __future__ import annotations

import subprocess
from dataclasses import replace

from market.hadoop import paths, spark
from market.kit import settings


def test_what_a_drain_saves_lies_in_the_job_s_own_folder() -> None:
    written = spark.fallback(settings.load(), paths.job_folder("alice", "0" * 32))
    assert written.endswith("/"), "Spark refuses it otherwise"
    assert written == f"{settings.load().hdfs_uri}/user/alice/.market-jobs/{'0' * 32}/shuffle/"


def test_an_event_log_is_written_only_where_it_has_a_place() -> None:
    """Spark's own is a folder of the machine's, without which no program begins."""
    assert not [name for name in spark.defaults(settings.load()) if name.startswith("spark.eventLog.")]


def test_a_task_may_go_on_for_a_part_of_a_drain() -> None:
    loaded = settings.load()
    for drain_s, task_s in ((120, 30), (600, 150), (3, 1)):
        changed = replace(loaded, machines=replace(loaded.machines, drain_timeout_s=drain_s))
        assert spark.task_drain_s(changed) == task_s
        assert spark.defaults(changed)["spark.executor.decommission.forceKillTimeout"] == f"{task_s}s"


def test_executors_have_the_optimising_compiler_but_use_it_late() -> None:
    options = spark.defaults(settings.load())["spark.executor.extraJavaOptions"]
    assert "TieredStopAtLevel" not in options
    ran = subprocess.run(
        ["java", *options.split(), "-XX:+PrintFlagsFinal", "-version"], capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    flags = {words[1]: words[3] for line in ran.stdout.splitlines() if len(words := line.split()) > 3}
    assert flags["TieredStopAtLevel"] == "4"
    assert int(flags["Tier4InvocationThreshold"]) == 20 * 5_000
