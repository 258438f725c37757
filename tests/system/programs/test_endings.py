"""What programs leave, however they end, what their owners are told, and Spark as people write it.

Those that need no session make none: they are a driver only.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from people import Person, person, until

from market.cluster.clients import hdfs
from market.kit import settings
from market.people import homes

pytestmark = pytest.mark.cluster

PEOPLE_S = """
import json, os
import pandas
import pyarrow.parquet
from pyspark.sql import SparkSession

spark = (SparkSession.builder.master("local[*]").config("spark.executor.memory", "9g")
    .config("spark.executor.instances", "7").enableHiveSupport().getOrCreate())
spark.range(10).write.saveAsTable("numbers")
spark.sql("CREATE TABLE words (word STRING) USING parquet")
spark.sql("INSERT INTO words VALUES ('one')")
found = [spark.table("numbers").count(), spark.table("words").count()]
spark.stop()

spark = SparkSession.builder.appName("again").getOrCreate()
sums = spark.sparkContext.parallelize([1, 2, 3], 2).map(lambda one: one + 1)
found.append(sums.sum())

out = os.environ["MARKET_OUTPUT"]
pandas.DataFrame({"a": [1, 2]}).to_csv(out + "/frame.csv", index=False)
pandas.DataFrame({"a": [1, 2, 3]}).to_parquet(out + "/frame.parquet")
found.append(pyarrow.parquet.read_table(out + "/frame.parquet").num_rows)
found.append(sums.map(lambda _: len(__import__("pandas").read_csv(out + "/frame.csv"))).max())
try:
    input("Nobody is there? ")
except EOFError:
    found.append("EOF")
print("FOUND " + json.dumps(found), flush=True)
os._exit(0)
"""
KILLED = """
import os, traceback
try:
    open("optional.cfg")
except OSError:
    traceback.print_exc()
with open(os.path.join(os.environ["MARKET_RESULTS"], "žluť: 1.txt"), "w") as file:
    file.write("saved")
out = os.environ["MARKET_OUTPUT"]
os.makedirs(out)
with open(os.path.join(out, "metrics.json"), "w") as file:
    file.write("{}")
os.makedirs(os.environ["MARKET_INPUT"])
open(os.path.join(os.environ["MARKET_INPUT"], "lost.txt"), "w").close()
os.kill(os.getpid(), 9)
"""
ENDLESS = """
import os, time
number = 0
while True:
    number += 1
    with open(f"{os.environ['MARKET_RESULTS']}/{number}.txt", "w") as file:
        file.write(str(time.time()))
    print("round", number, flush=True)
    time.sleep(1)
"""
CROWDED = """
import os
from pyspark.sql import SparkSession
sc = SparkSession.builder.getOrCreate().sparkContext
first = sc._jvm.org.apache.hadoop.fs.Path(os.environ["MARKET_OUTPUT"])
files = first.getFileSystem(sc._jsc.hadoopConfiguration())
for number in range(2000):
    files.mkdirs(sc._jvm.org.apache.hadoop.fs.Path(first, str(number)))
"""
NOTEBOOK = ["%matplotlib inline\nimport os", "6 * 7", "{}['colour']"]
JAVA = """
package mine;
import java.nio.file.*;
import org.apache.spark.sql.SparkSession;

public class Ends {
    public static void main(String[] words) throws Exception {
        SparkSession spark = SparkSession.builder().master("local[2]").getOrCreate();
        System.out.println("rows " + spark.range(10).count() + " by " + spark.sparkContext().master());
        Files.writeString(Path.of(System.getenv("MARKET_RESULTS"), "java.txt"), "saved");
        if (words.length == 0) {
            throw new IllegalArgumentException("outer", new IllegalStateException("7 bad rows"));
        }
        System.exit(Integer.parseInt(words[0]));
    }
}
"""


@pytest.fixture(scope="module")
def jobs(
    stack: settings.Settings, buyer: Person, machines: list[dict[str, Any]], tmp_path_factory: Any
) -> dict[str, str]:
    folder: Path = tmp_path_factory.mktemp("java")
    (folder / "Ends.java").write_text(JAVA)
    jars = f"{stack.paths.runtime}/jars/*"
    subprocess.run(["javac", "-cp", jars, "-d", str(folder / "out"), str(folder / "Ends.java")], check=True)
    subprocess.run(["jar", "cf", str(folder / "ends.jar"), "-C", str(folder / "out"), "."], check=True)
    cells = [{"cell_type": "code", "source": text} for text in NOTEBOOK]
    buyer.put("ends/people_s/main.py", PEOPLE_S)
    buyer.put("ends/killed/main.py", KILLED)
    buyer.put("ends/endless/main.py", ENDLESS)
    buyer.put("ends/notebook/only.ipynb", json.dumps({"nbformat": 4, "cells": cells}))
    buyer.put("ends/java/ends.jar", (folder / "ends.jar").read_bytes())
    names = ("endless", "killed", "notebook", "people_s")
    made = {name: buyer.submit(f"ends/{name}") for name in names}
    for word in ("", "0", "3"):
        params = [word] if word else []
        made[f"java {word}"] = buyer.submit("ends/java", main_class="mine.Ends", app_params=params)
    return made


def results(buyer: Person, job_id: str) -> dict[str, str]:
    base = f"/jobs/{job_id}/results"
    return {one["path"]: buyer.rest.text(f"{base}/{one['path']}") for one in buyer.rest.get(base)["files"]}


def logged(buyer: Person, job_id: str, words: str) -> str:
    """Return the driver's log when these words are in it: just after a job's end nobody may have it."""
    return until(lambda: log if words in (log := buyer.log(job_id)) else "", words, 60)


def names(buyer: Person, job_id: str) -> list[str]:
    return [one["path"] for one in buyer.rest.get(f"/jobs/{job_id}/results")["files"]]


def test_results_are_there_while_a_program_runs_and_after_it_is_stopped(
    buyer: Person, jobs: dict[str, str]
) -> None:
    job_id = jobs["endless"]
    until(lambda: "2.txt" in names(buyer, job_id), "the first results", 240)
    assert buyer.job(job_id)["status"] == "running"
    before = results(buyer, job_id)
    assert all(before.values())
    buyer.send("POST", f"/jobs/{job_id}/cancel")
    assert buyer.ended(job_id)["status"] == "cancelled"
    after = results(buyer, job_id)
    assert {name: after.get(name) for name in before} == before, "as it was, byte for byte"


def test_a_killed_program_leaves_what_it_saved_and_the_signal_is_named(
    buyer: Person, jobs: dict[str, str]
) -> None:
    job = buyer.ended(jobs["killed"])
    assert (job["status"], job["reason_code"]) == ("failed", "user_error")
    assert "signal 9 (SIGKILL)" in job["reason"]
    assert "optional.cfg" not in job["reason"]
    assert "Not saved: 1 file in a folder called hdfs:" in job["reason"]
    assert results(buyer, jobs["killed"]) == {"metrics.json": "{}", "žluť_ 1.txt": "saved"}


def test_who_leaves_more_files_than_he_may_is_told_of_the_quota(
    stack: settings.Settings, machines: list[dict[str, Any]]
) -> None:
    crowd = person(stack, "crowd")
    crowd.put("crowded/main.py", CROWDED)
    job_id = crowd.submit("crowded")
    home = homes.path(crowd.username)
    hdfs().set_quota(home, hdfs().usage(home).names + 500, -1)  # by default he may have a hundred thousand
    job = crowd.ended(job_id, 300)
    assert (job["status"], job["reason_code"]) == ("failed", "user_error")
    assert "The NameSpace quota (directories and files)" in job["reason"]
    cleared = crowd.send("DELETE", "/files/crowded/main.py")
    assert cleared.status_code == 204, "a full home is its owner's to clear"


def test_a_notebook_runs_and_its_error_is_named(buyer: Person, jobs: dict[str, str]) -> None:
    job = buyer.ended(jobs["notebook"])
    assert (job["entry_file"], job["status"]) == ("only.ipynb", "failed")
    assert "failed: KeyError: 'colour'." in job["reason"]
    log = logged(buyer, job["job_id"], "KeyError")
    assert "42\n" in log
    assert "only.ipynb, cell 3" in log


def test_spark_runs_as_people_write_it(buyer: Person, jobs: dict[str, str]) -> None:
    job = buyer.ended(jobs["people_s"], 300)
    log = logged(buyer, job["job_id"], "FOUND")
    assert job["status"] == "succeeded", (job["reason"], log)
    found = log.partition("FOUND ")[2].partition("\n")[0]
    assert json.loads(found) == [10, 1, 9, 3, 2, "EOF"]
    for setting in ("spark.master=local[*]", "spark.executor.memory=9g", "spark.executor.instances=7"):
        assert f"market: the program's {setting} is ignored" in log
    assert names(buyer, job["job_id"]) == ["frame.csv", "frame.parquet"]


@pytest.mark.parametrize(
    ("word", "status", "words"),
    [
        ("", "failed", "IllegalStateException: 7 bad rows"),
        ("0", "succeeded", ""),
        ("3", "failed", "exit code 3"),
    ],
)
def test_a_java_program_ends_as_it_says(
    buyer: Person, jobs: dict[str, str], word: str, status: str, words: str
) -> None:
    job = buyer.ended(jobs[f"java {word}"], 300)
    assert job["status"] == status, job["reason"]
    assert words in job["reason"]
    logged(buyer, job["job_id"], "rows 10 by yarn")
    assert results(buyer, job["job_id"]) == {"java.txt": "saved"}
