"""A market on which a job runs is upgraded to a changed clone, and led back: the job is paid once.

It replaces services of the stack twice, which takes minutes: only with `MARKET_ACCIDENTS=all`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from commands import market
from people import Person

from market.credits.settlement.steps import settle
from market.kit import clock, database, settings
from market.ops.python_path import python_path
from market.ops.run import releases

_LONG = pytest.mark.skipif(
    os.environ.get("MARKET_ACCIDENTS") != "all", reason="takes long: MARKET_ACCIDENTS=all"
)
pytestmark = [pytest.mark.cluster, pytest.mark.alone, _LONG]

# It works until it is told to end by a file, so that both upgrades find it at work.
WORKS = """
    import os, time
    from pyspark.sql import SparkSession
    spark = SparkSession.builder.getOrCreate()
    until = time.time() + 1200
    path = spark._jvm.org.apache.hadoop.fs.Path(os.environ["MARKET_INPUT"] + "/end.txt")
    files = path.getFileSystem(spark._jsc.hadoopConfiguration())
    while time.time() < until and not files.exists(path):
        spark.range(1000).count()
        time.sleep(1)
    spark.range(10).write.json(os.environ["MARKET_OUTPUT"])
"""
ADDED = "9001_added_by_a_test.sql"
_CODE = ("client", "config", "dags", "examples", "java", "plugins", "sql", "requirements.txt")


def _changed_clone(folder: Path) -> Path:
    """Copy this clone, with what it has installed, and change code and tables."""
    for name in (*_CODE, "requirements-agent.txt", "requirements-test.txt"):
        source = settings.ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, folder / name)
    (folder / ".market").symlink_to(settings.ROOT / ".market")
    with (folder / "plugins" / "market" / "kit" / "clock.py").open("a") as file:
        file.write("\n# A line more.\n")
    (folder / "sql" / "schema" / ADDED).write_text("CREATE TABLE added_by_a_test (id integer);\n")
    return folder


def _upgrade(clone: Path, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "market.ops.cli", "upgrade", *words],
        cwd=clone,
        env={**os.environ, "PYTHONPATH": python_path(clone)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def _services() -> dict[str, dict[str, Any]]:
    report = json.loads(market("status", "--json").stdout)
    assert all(one["healthy"] for one in report["services"]), report
    return {one["name"]: one for one in report["services"]}


def _process(services: dict[str, dict[str, Any]], name: str) -> str:
    return str(services[name]["detail"]).partition(";")[0]


def test_a_running_job_goes_on_through_an_upgrade_and_the_way_back(
    stack: settings.Settings, buyer: Person, program: Callable[[str], str], tmp_path: Path
) -> None:
    state = stack.paths.state
    first = releases.current(state)
    assert first is not None
    buyer.put("works/main.py", program(WORKS))
    job_id = buyer.submit("works", max_duration=1500)
    buyer.in_status(job_id, "running", 180)
    before = _services()

    clone = _changed_clone(tmp_path / "clone")
    checked = _upgrade(clone, "--check")
    assert f"sql/schema/{ADDED} (expand)" in checked
    assert "pool stays, since drivers run on it" in checked
    assert releases.current(state) == first, "a check changes nothing"

    said = _upgrade(clone)
    assert f"applied sql/schema/{ADDED}" in said
    after = _services()
    for name in ("api-server", "scheduler", "dag-processor", "triggerer", "submitter", "watchdog"):
        assert _process(after, name) != _process(before, name), f"{name} still runs from before"
    for name in ("postgres", "namenode", "datanode", "resourcemanager", "pool"):
        assert _process(after, name) == _process(before, name), f"{name} was started anew"
    assert buyer.job(job_id)["status"] == "running"
    told = json.loads(market("status", "--json").stdout)["release"]
    assert told["up_to_date"] is False, "this clone is not the one that the market runs from now"

    _upgrade(settings.ROOT, "--to", "previous", "--no-backup")
    assert releases.current(state) == first
    _services()
    buyer.put("works/end.txt", "end\n")
    assert buyer.ended(job_id, 300)["status"] == "succeeded", buyer.log(job_id, file="stderr")
    settle(clock.now_ms())
    buyer.receipt(job_id)
    with database.transaction() as cursor:
        cursor.execute("SELECT count(*) AS runs FROM run WHERE job_id = %s", [job_id])
        assert cursor.fetchone().runs == 1
        cursor.execute("SELECT * FROM violations(false)")
        assert cursor.fetchall() == []
    # When no driver runs there any more, the pool's machine follows; the table that was added stays.
    _upgrade(settings.ROOT)
    assert json.loads(market("status", "--json").stdout)["release"]["up_to_date"] is True
