"""The warm submitter on the real YARN: quick, one application whatever is killed, nothing mixed up.

The applications here ask for a machine type that nobody lends: they wait, and are killed in the end.
"""

from __future__ import annotations

import io
import re
import secrets
import signal
import subprocess
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from people import Person
from warm_submitter import TYPE, Submit, applications

from distributedmarket.runtime import class_data
from market.cluster.clients import hdfs, resource_manager
from market.hadoop.paths import SCRATCH
from market.jobs.life import kill
from market.jobs.submission import submission_lock
from market.kit import settings
from market.ops.run import submitter

pytestmark = pytest.mark.cluster
# What it was started from and with; numpy comes last, since others may import more.
PROGRAM = """
    import os, sys
    from pathlib import Path
    from pyspark.sql import SparkSession

    def java_maps_archive(_):
        pid = os.getpid()
        while Path(f"/proc/{pid}/comm").read_text().strip() != "java":
            pid = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1]
        return "spark.jsa" in Path(f"/proc/{pid}/maps").read_text()

    spark = SparkSession.builder.getOrCreate()
    print("sum", spark.sparkContext.parallelize(range(10), 2).sum(), "pandas" in sys.modules)
    print("driver", java_maps_archive(0))
    print("executor", spark.sparkContext.parallelize([0], 1).map(java_maps_archive).collect())
    import numpy
    held = spark.sparkContext._jvm.java.util.ArrayList()
    held.add(numpy.int64(7))
    print("held", held)
"""


def test_it_submits_for_the_user_and_prints_the_application(
    stack: settings.Settings, submit: Submit, tag: str
) -> None:
    out, _ = submit(tag, user="ann").communicate(timeout=60)
    found = resource_manager().apps(tags=[tag])
    assert [(app.user, app.queue.removeprefix("root.")) for app in found] == [("ann", TYPE)]
    assert found[0].application_id in re.findall(r"application_\d+_\d+", out)
    assert "Uploading resource" in out


def test_only_the_service_account_may_open_it(stack: settings.Settings) -> None:
    path = submitter.socket(stack)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_a_second_submission_with_the_tag_gives_the_first_s_application(submit: Submit, tag: str) -> None:
    outs = [started.communicate(timeout=60)[0] for started in [submit(tag), submit(tag)]]
    assert len(applications(tag)) == 1
    assert all(applications(tag)[0] in out for out in outs)


def test_users_who_submit_at_once_get_nothing_of_each_other_s(
    stack: settings.Settings, submit: Submit
) -> None:
    tags = {f"user{number}": secrets.token_hex(16) for number in range(6)}
    try:

        def one(user: str) -> None:
            mine = {f"spark.executorEnv.OF_{user}": user, f"spark.hadoop.of.{user}": user}
            assert submit(tags[user], user=user, conf=mine).wait(90) == 0

        with ThreadPoolExecutor(6) as threads:
            list(threads.map(one, tags))
        for user, tag in tags.items():
            (app,) = resource_manager().apps(tags=[tag])
            folder = f"{SCRATCH}/{user}/.sparkStaging/{app.application_id}"
            status = hdfs().status(folder)
            assert status is not None
            assert (app.user, status.owner, status.permission) == (user, user, "700")
            carried = b"".join(hdfs().open(f"{folder}/__spark_conf__.zip"))
            text = zipfile.ZipFile(io.BytesIO(carried)).read("__spark_conf__.properties")
            assert set(re.findall(rb"user\d", text)) == {user.encode()}
    finally:
        for tag in tags.values():
            kill.applications(tag)


def test_a_task_killed_while_it_submits_leaves_one_application(submit: Submit, tag: str) -> None:
    with submission_lock.taken(tag) as lock:
        first = submit(tag, pass_fds=(lock,))
    assert first.stdout is not None
    assert first.stdout.readline()  # the first line of Spark's log: it has begun
    first.send_signal(signal.SIGKILL)
    first.wait(30)
    with submission_lock.taken(tag, patience_s=60) as lock:
        assert len(applications(tag)) == 1
        submit(tag, pass_fds=(lock,)).communicate(timeout=60)
    assert len(applications(tag)) == 1


def test_the_runs_of_a_point_are_submitted_by_it_one_after_the_other(submit: Submit, tag: str) -> None:
    first, second = f"{tag}-0", f"{tag}-0.2"
    for run in (first, second):
        out, _ = submit(f"{run},{tag}").communicate(timeout=120)
        assert "Submitted by the warm submitter" in out
        kill.applications(run)
    assert len(applications(first)) == len(applications(second)) == 1
    assert set(applications(tag)) == {*applications(first), *applications(second)}


@pytest.fixture(scope="module")
def job(buyer: Person, machines: list[Any], program: Callable[[str], str]) -> dict[str, Any]:
    """A job that has looked at what it was started with."""
    buyer.put("warm/main.py", program(PROGRAM))
    ended = buyer.ended(buyer.submit("warm"))
    assert ended["status"] == "succeeded", ended["reason"]
    return ended


def test_a_job_goes_through_it(stack: settings.Settings, job: dict[str, Any]) -> None:
    assert applications(job["job_id"]) == [job["application_id"]]
    told = (stack.paths.logs / "submitter.log").read_text()
    assert told.count(f" Submitted application {job['application_id']}\n") == 1


def test_a_job_starts_from_the_class_data_archive(buyer: Person, job: dict[str, Any]) -> None:
    log = buyer.log(job["job_id"])
    assert "driver True" in log
    assert "executor [True]" in log


def test_pyspark_does_not_import_pandas_for_a_program_without(buyer: Person, job: dict[str, Any]) -> None:
    log = buyer.log(job["job_id"])
    assert "sum 45 False" in log
    assert "held [7]" in log


def test_the_archive_has_what_speaks_to_hdfs_and_what_java_makes_of_lambdas(stack: settings.Settings) -> None:
    words = ["java", "-XX:+UseSerialGC", *class_data.options(stack.paths.runtime), "-Xlog:class+load"]
    words += ["-cp", f"{stack.paths.runtime}/jars/*:{stack.paths.hadoop_conf}"]
    words += ["org.apache.hadoop.fs.FsShell", "-ls", "/"]
    listing = subprocess.run(words, capture_output=True, text=True, timeout=60)
    loaded = [line for line in listing.stdout.splitlines() if " source: " in line]
    archived = [line for line in loaded if line.endswith("source: shared objects file")]
    messages = [line for line in loaded if "org.apache.hadoop.hdfs.protocol.proto." in line]
    assert len(messages) > 300, listing.stderr
    assert not set(messages) - set(archived)
    # Java archives some of its own lambdas unasked; these are in the class list.
    assert [line for line in archived if "$$Lambda$" in line and " org.apache." in line]


def test_an_archive_that_java_does_not_take_is_told(stack: settings.Settings, tmp_path: Path) -> None:
    assert class_data.problem(stack.paths.runtime) == ""
    other = settings.Paths(root=stack.paths.root, installs=tmp_path, state=tmp_path)
    other.runtime.mkdir()
    (other.runtime / "jars").symlink_to(stack.paths.runtime / "jars")
    assert "there is no class-data archive" in class_data.problem(other.runtime)
    class_data.archive(other.runtime).write_bytes(b"another Java's" * 1000)
    assert "Java refuses the class-data archive" in class_data.problem(other.runtime)
