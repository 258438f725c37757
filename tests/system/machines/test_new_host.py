"""A host with nothing but Python and Java lends itself: the agent installs what it needs, and no more."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from fresh_host import FreshHost
from people import Person, until

from distributedmarket.runtime import class_data
from market.kit import settings

pytestmark = pytest.mark.cluster

WHERE = """
    import os, sys
    from pyspark.sql import SparkSession

    spark = SparkSession.builder.getOrCreate().sparkContext

    def here(_):
        return os.environ["MARKET_RUNTIME"], os.getuid(), "seen" if os.path.exists(sys.argv[1]) else "hidden"

    print("executor", *spark.parallelize([0], 1).map(here).first())
"""
# What the steps of a machine may leave, and the machine itself.
INSTALLED = {"tools", "agent-env", "hadoop", "runtime", "stamps", "setup.lock", "uv-cache"}
INSTALLED |= {"setup.log", "class-data.log", "by-digest"}
ENVIRONMENTS = {"tools", "agent-env", "runtime"}  # by digest
STATE = {"machines", "password"}


def test_a_host_with_python_and_java_alone_joins_and_runs_a_job(
    stack: settings.Settings, fresh_host: FreshHost, buyer: Person, program: Callable[[str], str]
) -> None:
    agent, made = fresh_host.agent, fresh_host.root / ".market"
    agent.wait("active", 400)
    assert ("in bubblewrap" if fresh_host.boxed else "WITHOUT a sandbox") in agent.said()
    buyer.put("where/main.py", program(WHERE))
    job_id = buyer.submit("where", machine_type="fresh", app_params=[str(fresh_host.secret)])
    job = buyer.ended(job_id)
    assert job["status"] == "succeeded", (job, buyer.log(job_id, "executor", "stderr")[-2000:])
    seen = "hidden" if fresh_host.boxed else "seen"
    assert buyer.log(job_id).split() == [
        "executor",
        str((made / "runtime").resolve()),
        str(fresh_host.uid),
        seen,
    ]
    agent.interrupt()
    until(lambda: "draining" in agent.said(), "the drain", 20)
    agent.interrupt()
    assert agent.process.wait(60) == 0
    agent.wait("left", 10)
    assert agent.left_behind() == []

    assert {path.name for path in made.iterdir()} <= INSTALLED | STATE
    assert {path.name.rpartition("-")[0] for path in (made / "by-digest").iterdir()} <= ENVIRONMENTS
    assert {path.stat().st_uid for path in made.iterdir()} == {fresh_host.uid}
    packages = {path.name.lower() for path in made.glob("*/lib/python3*/site-packages/*")}
    assert {"requests", "pyspark"} <= packages
    assert not {
        name for name in packages if name.startswith(("airflow", "apache_airflow", "psycopg", "flask"))
    }
    steps = (
        "the agent's environment",
        "Hadoop's jars, from the market",
        "the jobs' runtime",
        "Spark's classes",
    )
    for step in steps:
        assert step in agent.said()
    assert class_data.problem(made / "runtime") == ""
    asked = [*class_data.class_list(made / "runtime").open()]
    assert asked == [*stack.paths.class_list.open()][: 1 + stack.machines.archived_classes], (
        "the market's own"
    )
