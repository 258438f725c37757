"""What a program finds around it: the files of its folder, relative paths, variables, and secrets.

One program in Python with all of it, one whose file lies in a folder further down, one in Java.
"""

from __future__ import annotations

import base64
import json
import subprocess
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
import whole_stack
import zstandard
from odd_texts import ODD
from people import Person, until

from market.cluster import event_log
from market.cluster.clients import hdfs, job_history
from market.hadoop import paths
from market.jobs import store
from market.kit import database, settings

pytestmark = pytest.mark.cluster

# Found nowhere but in the job's own containers; programs print it backwards or encoded.
WORD = "swordfish-5f2c"
SECRET = f"{WORD} {ODD}\n'"
VARIABLE = f"plain {ODD}\n"
PYTHON = """
import json, os
from pyspark.sql import SparkSession
import helper
from mypkg.steps import double

spark = SparkSession.builder.getOrCreate()
sc = spark.sparkContext

def seen(number):
    from mypkg.deep import part
    return [double(number), helper.f(part.N), open("data.csv").read(), *around()]

def around():
    return [os.environ.get("DB_URL", "")[::-1], os.environ.get("GREETING"), os.path.exists("notes/ü ñ.txt")]

with open("data.csv", "a") as file:
    file.write("5,6\\n")
spark.read.csv("data.csv").write.csv("copied")
table = spark.sql("SELECT count(*) FROM csv.`data.csv`").first()[0]
lines = sc.textFile("data.csv").count()
print("FOUND " + json.dumps({
    "driver": [open("data.csv").read(), *around()], "executor": sc.parallelize([4], 1).map(seen).first(),
    "counts": [table, lines, spark.read.csv("copied").count()], "git": os.path.exists(".git"),
}))
"""
# Its owner changes all its files while it runs; then it loses its executor.
CHANGED = """
import json, os, time
from pyspark.sql import SparkSession
import util
sc = SparkSession.builder.getOrCreate().sparkContext
go = sc._jvm.org.apache.hadoop.fs.Path(os.environ["MARKET_INPUT"] + "/go")
files = go.getFileSystem(sc._jsc.hadoopConfiguration())
first = sc.parallelize([0], 1).map(lambda _: os.environ["CONTAINER_ID"]).first()
print("ready", flush=True)
while not files.exists(go):
    time.sleep(0.2)

def seen(_):
    if os.environ["CONTAINER_ID"] == first:
        with open(f"/proc/{os.getppid()}/stat") as file:  # the parent of Python's own is Java
            os.kill(int(file.read().rpartition(")")[2].split()[1]), 9)
    return [util.WORD, open("data.csv").read(), os.environ["CONTAINER_ID"] != first]

print("FOUND " + json.dumps(sc.parallelize([0], 1).map(seen).first()), flush=True)
"""
BELOW = """
import json, sys
from pyspark.sql import SparkSession
import util
from inside import WORD
from zipped import ALSO
spark = SparkSession.builder.getOrCreate()

def seen(_):
    from inside import WORD
    from zipped import ALSO
    return [util.f(1), WORD, ALSO]

there = [util.f(1), WORD, ALSO, sys.argv[0], open("config.json").read()]
print("FOUND " + json.dumps([there, spark.sparkContext.parallelize([1], 1).map(seen).first()]))
"""
# A package as people zip it: modules that import each other, and data that they read as resources.
ZIPPED = {
    "__init__.py": "from .words import ALSO\n",
    "words.py": "from importlib import resources\n"
    "ALSO = resources.files(__package__).joinpath('data/word.txt').read_text()\n",
    "data/word.txt": "zipped",
}
FEW = """
from pyspark.sql import SparkSession
with open("data.csv", "a") as file:
    file.write("5,6\\n")
sc = SparkSession.builder.getOrCreate().sparkContext
there = sc.parallelize([1], 1).map(lambda _: open("data.csv").read().count(",")).first()
print("FOUND", open("data.csv").read().count(","), there, sc.textFile("data.csv").count())
"""
JAVA = """
import java.io.InputStream;
import java.nio.file.*;
import java.util.*;
import org.apache.spark.api.java.*;
import org.apache.spark.sql.SparkSession;

public class Looks {
    public static void main(String[] words) throws Exception {
        SparkSession spark = SparkSession.builder().getOrCreate();
        String there = new JavaSparkContext(spark.sparkContext()).parallelize(List.of(1), 1)
            .map(one -> encoded(System.getenv("DB_URL"))).first();
        Files.writeString(Path.of("data.csv"), "mine", StandardOpenOption.APPEND);
        System.out.println("FOUND " + encoded(System.getenv("DB_URL")) + " " + there + " "
            + encoded(System.getenv("GREETING")) + " "
            + Files.readString(Path.of("sub/data.csv")).trim() + " "
            + spark.read().textFile("sub/data.csv").count() + " " + encoded(inherited("DB_URL")));
    }

    static String inherited(String name) throws Exception {
        InputStream told = Runtime.getRuntime().exec(new String[] {"printenv", "-0", name}).getInputStream();
        return new String(told.readAllBytes(), java.nio.charset.StandardCharsets.UTF_8).replace("\\0", "");
    }

    static String encoded(String text) {
        return Base64.getEncoder().encodeToString(text.getBytes(java.nio.charset.StandardCharsets.UTF_8));
    }
}
"""


@dataclass
class Jobs:
    """The jobs, and who submitted them."""

    buyer: Person
    ids: dict[str, str]

    def succeeded(self, name: str) -> str:
        """Return what a program found, after a good end."""
        job = self.buyer.ended(self.ids[name], 300)
        text = self.buyer.log(job["job_id"])
        assert job["status"] == "succeeded", (job["reason"], text)
        return next(line for line in text.splitlines() if line.startswith("FOUND ")).removeprefix("FOUND ")


@pytest.fixture(scope="module")
def jobs(
    stack: settings.Settings,
    buyer: Person,
    machines: list[dict[str, Any]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Jobs:
    upload(buyer, "all", PYTHON, {"helper.py": "def f(n): return n + 1\n", "data.csv": "1,2\n3,4\n"})
    upload(buyer, "all", None, {"mypkg/__init__.py": "", "mypkg/steps.py": "def double(n): return 2 * n\n"})
    upload(buyer, "all", None, {"mypkg/deep/__init__.py": "", "mypkg/deep/part.py": "N = 1\n"})
    upload(buyer, "all", None, {"notes/ü ñ.txt": "x", ".git/HEAD": "x"})
    folder = tmp_path_factory.mktemp("programs")
    with zipfile.ZipFile(folder / "z.zip", "w") as archive:
        for name, text in ZIPPED.items():
            archive.writestr(f"zipped/{name}", text)
    upload(
        buyer,
        "below",
        None,
        {"src/train.py": BELOW, "src/util.py": "def f(n): return n\n", "config.json": "{}"},
    )
    upload(
        buyer,
        "below",
        None,
        {"lib/inside.py": "WORD = 'inside'\n", "lib/z.zip": (folder / "z.zip").read_bytes()},
    )
    upload(buyer, "few", FEW, {"data.csv": "1,2\n"})
    upload(buyer, "changed", CHANGED, {"data.csv": "1,2\n", "util.py": "WORD = 'first'\n"})
    upload(buyer, "java", None, {"looks.jar": java(stack, folder), "data.csv": "x\n", "sub/data.csv": "a\n"})
    answer = buyer.send("PUT", "/secrets/DB_URL", json={"value": SECRET})
    assert answer.status_code == 201, answer.text
    told = {"secrets": ["DB_URL"], "env": {"GREETING": VARIABLE}}
    return Jobs(
        buyer,
        {
            "all": buyer.submit("all", **told),
            "below": buyer.submit("below", entry_file="src/train.py", libs=["lib"]),
            "few": buyer.submit("few"),
            "changed": buyer.submit("changed", libs=["util.py"]),
            "java": buyer.submit("java", entry_file="looks.jar", main_class="Looks", **told),
        },
    )


def upload(buyer: Person, root: str, main: str | None, files: dict[str, str | bytes]) -> None:
    for name, content in (files | ({"main.py": main} if main else {})).items():
        buyer.put(f"{root}/{name}", content)


def java(stack: settings.Settings, folder: Path) -> bytes:
    """Return the program in Java as a .jar."""
    (folder / "Looks.java").write_text(JAVA)
    jars = f"{stack.paths.runtime}/jars/*"
    subprocess.run(["javac", "-cp", jars, "-d", folder, folder / "Looks.java"], check=True)
    with zipfile.ZipFile(folder / "looks.jar", "w") as archive:
        for path in folder.glob("*.class"):
            archive.write(path, path.name)
    return (folder / "looks.jar").read_bytes()


def test_what_lies_beside_the_program_is_there(jobs: Jobs) -> None:
    found = json.loads(jobs.succeeded("all"))
    assert found["driver"] == ["1,2\n3,4\n5,6\n", SECRET[::-1], VARIABLE, True]
    assert found["executor"] == [8, 2, "1,2\n3,4\n", SECRET[::-1], VARIABLE, True]
    assert found["counts"] == [2, 2, 2]
    assert not found["git"]


def test_relative_paths_of_spark_are_below_the_job_s_folder_in_the_home(jobs: Jobs) -> None:
    jobs.succeeded("all")
    listed = jobs.buyer.send("GET", "/files", params={"path": "all/copied"}).json()["files"]
    assert any(one["path"].startswith("all/copied/part-") for one in listed)


def test_a_program_further_down_finds_its_neighbours_and_folders_of_libraries(jobs: Jobs) -> None:
    there = [1, "inside", "zipped"]
    assert json.loads(jobs.succeeded("below")) == [[*there, "src/train.py", "{}"], there]
    assert jobs.buyer.job(jobs.ids["below"])["libs"] == ["lib", "lib/z.zip"]


def test_a_file_that_comes_by_itself_is_there_as_well(jobs: Jobs) -> None:
    assert jobs.succeeded("few") == "2 1 1"


def test_what_its_owner_changes_while_a_job_runs_is_nothing_to_it(jobs: Jobs) -> None:
    job_id = jobs.ids["changed"]
    until(lambda: "ready" in jobs.buyer.log(job_id), "the first executor", 240)
    upload(
        jobs.buyer, "changed", "raise SystemExit('another')", {"data.csv": "", "util.py": "WORD = 'second'"}
    )
    upload(jobs.buyer, "changed", None, {"go": ""})
    assert json.loads(jobs.succeeded("changed")) == ["first", "1,2\n", True]


def test_a_program_in_java_finds_the_same(jobs: Jobs) -> None:
    secret, variable = (base64.b64encode(text.encode()).decode() for text in (SECRET, VARIABLE))
    assert jobs.succeeded("java").split() == [secret, secret, variable, "a", "1", secret]


def test_a_secret_is_found_nowhere_but_in_the_job_s_own_containers(
    stack: settings.Settings, jobs: Jobs, admin: requests.Session
) -> None:
    for name in ("all", "java"):
        jobs.succeeded(name)
    texts = {f"HDFS {path}": content for path, content in kept_in_hdfs(stack, jobs)}
    texts |= {f"YARN {path}": content for path, content in logs_of_yarn(jobs)}
    texts |= {f"Airflow {path}": content for path, content in logs_of_airflow(stack)}
    for url in addresses(stack, jobs):
        texts[url] = whole_stack.get(stack, url).content
    for name in ("/secrets", f"/jobs/{jobs.ids['all']}", f"/jobs/{jobs.ids['java']}"):
        texts[name] = jobs.buyer.send("GET", name).content
    with database.transaction() as cursor:
        cursor.execute("SELECT string_agg(job::text, ' ') FROM job")
        texts["job rows"] = str(cursor.fetchone()[0]).encode()
    assert len(texts) > 10
    forms = [WORD.encode(), base64.b64encode(json.dumps({"DB_URL": SECRET}).encode())[:40]]
    for place, content in texts.items():
        assert content, place
        assert not [form for form in forms if form in content], place


def kept_in_hdfs(stack: settings.Settings, jobs: Jobs) -> list[tuple[str, bytes]]:
    """Return the job's folders, once what was handed to it has gone, and the event logs of Spark."""
    folders = {job_id: store.find(job_id).folder for job_id in jobs.ids.values()}
    for folder in folders.values():
        until(lambda folder=folder: hdfs().status(paths.handed(folder)) is None, "nothing handed is left", 60)
    found = []
    for job_id, folder in folders.items():
        found += [(path, hdfs().read(f"{folder}/{path}")) for path, _ in hdfs().walk(folder)]
        application = jobs.buyer.job(job_id)["application_id"]
        logs = f"{paths.EVENT_LOGS}/{event_log.beginning(application)}1"
        until(lambda logs=logs: hdfs().status(logs), "the event log at the history server's place", 60)
        for path, _ in hdfs().walk(logs):
            if "events" in path:
                found.append((path, unpacked(path, hdfs().read(f"{logs}/{path}"))))
    assert len(found) > 1
    return found


def logs_of_yarn(jobs: Jobs) -> list[tuple[str, bytes]]:
    """Return all that YARN has collected of the containers, shown to the owner or not."""
    found = []
    for name in ("all", "java"):
        application = jobs.buyer.job(jobs.ids[name])["application_id"]
        files = until(lambda job=application: job_history().log_files(job), "the logs at the log server", 60)
        for container, (_, logs) in files.items():
            for file in logs:
                part = job_history().log(container, file.name, 0, None)
                found.append((f"{container}/{file.name}", b"-" + (b"".join(part.chunks) if part else b"")))
    assert len(found) > 3
    assert not [path for path, _ in found if path.endswith("launch_container.sh")]
    return found


def unpacked(name: str, content: bytes) -> bytes:
    """Return an event log as text."""
    if not name.endswith(".zstd"):
        return content
    with zstandard.ZstdDecompressor().stream_reader(content, read_across_frames=True) as stream:
        return stream.read()


def logs_of_airflow(stack: settings.Settings) -> list[tuple[str, bytes]]:
    return [
        (str(path), path.read_bytes() or b"-") for path in (stack.paths.state / "airflow").rglob("*.log")
    ] + [(str(path), path.read_bytes() or b"-") for path in stack.paths.logs.glob("*.log")]


def addresses(stack: settings.Settings, jobs: Jobs) -> list[str]:
    """Return where YARN and Spark tell everybody about the job."""
    application = jobs.buyer.job(jobs.ids["all"])["application_id"]
    yarn = f"{stack.url('resourcemanager_http')}/ws/v1/cluster/apps/{application}"
    history = f"{stack.url('spark_history_http')}/api/v1/applications/{application}/1/environment"
    return [yarn, f"{yarn}/appattempts", history]
