"""What every job's Spark is told."""

from __future__ import annotations

from dataclasses import replace

from market import settings
from market.jobs import paths
from market.stack import spark


def test_what_a_drain_saves_lies_in_the_job_s_own_folder() -> None:
    written = spark.defaults(settings.load())["spark.storage.decommission.fallbackStorage.path"]
    assert written.endswith("/"), "Spark refuses it otherwise"
    path = written.replace("${env:MARKET_JOB_ID}", "0" * 32)
    assert path == f"{settings.load().hdfs_uri}{paths.job_folder('0' * 32)}/shuffle/"


def test_a_task_may_go_on_for_a_part_of_a_drain() -> None:
    loaded = settings.load()
    for drain_s, task_s in ((120, 30), (600, 150), (3, 1)):
        changed = replace(loaded, machines=replace(loaded.machines, drain_timeout_s=drain_s))
        assert spark.task_drain_s(changed) == task_s
        assert spark.defaults(changed)["spark.executor.decommission.forceKillTimeout"] == f"{task_s}s"
