"""What a program of somebody who registered a minute ago may try: it runs as a job, in the driver.

Its argument says where all is (JSON, see test_hostile_program.py); it prints what each attempt came to.
"""

import base64
import glob
import json
import os
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

from market_runner import tokens
from pyspark.sql import SparkSession

GIVEN: dict[str, Any] = json.loads(sys.argv[1])
NAME, FS, URL, STATE = GIVEN["name"], GIVEN["fs"], GIVEN["url"], GIVEN["state"]
HOME = f"/user/{GIVEN['victim']}"
DIARY = f"{HOME}/private/diary.txt"
OWN = f"{os.environ['MARKET_OUTPUT']}/own"
spark = SparkSession.builder.getOrCreate()
context = spark.sparkContext
found: dict[str, str] = {}


def attempt(what: str, action: Callable[[], object]) -> None:
    """Note what an attempt came to."""
    try:
        found[what] = str(action())[-1500:]
    except Exception as error:
        found[what] = f"REFUSED {error}"[:1500]


def own_work() -> int:
    """Write, and read again, what is its own."""
    spark.range(3).write.csv(OWN)
    return spark.read.csv(OWN).count()


# The five lines with which everything began.
def as_named(action: str) -> object:
    """Open the file system under a name that is only said."""
    jvm: Any = context._jvm
    files = jvm.org.apache.hadoop.fs.FileSystem.newInstance(
        jvm.java.net.URI(FS), context._jsc.hadoopConfiguration(), NAME
    )
    path = jvm.org.apache.hadoop.fs.Path(HOME)
    return files.delete(path, True) if action == "delete" else len(files.listStatus(path))


def administered(action: str) -> object:
    """Do in HDFS what its superuser may, with the job's own token."""
    jvm: Any = context._jvm
    files = jvm.org.apache.hadoop.fs.FileSystem.get(jvm.java.net.URI(FS), context._jsc.hadoopConfiguration())
    if action == "refresh":
        return files.refreshNodes()
    return files.setQuota(jvm.org.apache.hadoop.fs.Path(GIVEN["home"]), 1 << 40, 1 << 50)


def as_client(action: str) -> object:
    """Ask YARN as whoever submits would, with the job's own tokens."""
    jvm: Any = context._jvm
    yarn = jvm.org.apache.hadoop.yarn
    settings = yarn.conf.YarnConfiguration(context._jsc.hadoopConfiguration())
    settings.set("yarn.resourcemanager.connect.max-wait.ms", "3000")
    client = yarn.client.api.YarnClient.createYarnClient()
    client.init(settings)
    client.start()
    if action == "list":
        return client.getApplications().size()
    return client.killApplication(yarn.api.records.ApplicationId.fromString(context.applicationId))


# Java in a process of its own, with the cluster's files and any variables.
SHELL = "org.apache.hadoop.fs.FsShell"
YARN = "org.apache.hadoop.yarn.client.cli."
TYPED = {"HADOOP_USER_NAME": NAME}
BARE = TYPED | {"HADOOP_TOKEN_FILE_LOCATION": ""}
SIMPLE = ("-D", "hadoop.security.authentication=simple")
TRUSTING = (*SIMPLE, "-D", "ipc.client.fallback-to-simple-auth-allowed=true")
SHORT = ("-D", "yarn.resourcemanager.connect.max-wait.ms=3000")


def java(variables: dict[str, str], main: str, *words: str) -> str:
    """Run one of Hadoop's own programs; return its exit code and its last words."""
    jars = f"{os.environ['MARKET_RUNTIME']}/jars/*"
    files = glob.glob(f"{os.getcwd()}/__spark_conf__/__hadoop_conf__")[0]
    command = ["java", "-Xmx96m", "-XX:TieredStopAtLevel=1", "-cp", f"{files}:{jars}", main, *words]
    done = subprocess.run(command, env=os.environ | variables, capture_output=True, text=True, timeout=120)
    return f"code {done.returncode}: {(done.stdout + done.stderr)[-1200:]}"


def over_rpc() -> None:
    """Try the servers' RPC under a name, with the job's tokens, without them, and in the simple way."""
    attempt("a typed name", lambda: java(TYPED, SHELL, "-rm", "-r", "-skipTrash", FS + HOME))
    attempt("a typed name without tokens", lambda: java(BARE, SHELL, "-cat", FS + DIARY))
    attempt("simple by an option", lambda: java(BARE, SHELL, *SIMPLE, "-rm", "-r", "-skipTrash", FS + HOME))
    attempt("simple as a fallback", lambda: java(BARE, SHELL, *TRUSTING, "-cat", FS + DIARY))
    attempt("have HDFS read its files again", lambda: administered("refresh"))
    attempt("lift a limit", lambda: administered("quota"))
    attempt("end applications by its tokens", lambda: as_client("end"))
    attempt("list applications by its tokens", lambda: as_client("list"))
    attempt("administer YARN", lambda: java(BARE, f"{YARN}RMAdminCLI", *SHORT, "-refreshNodes"))


def http(method: str, url: str, body: object = None, **headers: str) -> str:
    """Send a request; return the status and the begin of the answer."""
    request = urllib.request.Request(url, method=method, data=json.dumps(body).encode() if body else None)
    for name, value in {"Content-Type": "application/json", **headers}.items():
        request.add_header(name, value)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return f"{answer.status} {answer.read(600)!r}"
    except urllib.error.HTTPError as error:
        return f"{error.code} {error.read(300)!r}"


def asked(what: str, method: str, url: str, body: object = None, **headers: str) -> None:
    """Note what the answer to a request was."""
    attempt(what, lambda: http(method, url, body, **headers))


def over_webhdfs() -> None:
    """Try WebHDFS by a name, and by the job's own token for what is not its owner's."""
    web, named = f"{URL['namenode']}/webhdfs/v1", f"&user.name={NAME}"
    token = f"&delegation={tokens.delegation()}"
    asked("read over WebHDFS", "GET", f"{web}{DIARY}?op=OPEN{named}")
    asked("delete over WebHDFS", "DELETE", f"{web}{HOME}?op=DELETE&recursive=true{named}")
    asked("act for another over WebHDFS", "GET", f"{web}{DIARY}?op=OPEN&doas={GIVEN['victim']}{named}")
    asked("fetch a token by a name", "GET", f"{web}/?op=GETDELEGATIONTOKEN{named}")
    asked("its own home by its token", "GET", f"{web}{GIVEN['home']}?op=GETFILESTATUS{token}")
    asked("another's file by its token", "GET", f"{web}{DIARY}?op=OPEN{token}")
    asked("another's name beside its token", "GET", f"{web}{DIARY}?op=OPEN{token}{named}")
    asked("act for another by its token", "GET", f"{web}{DIARY}?op=OPEN&doas={GIVEN['victim']}{token}")
    broken = token[:-40] + ("A" if token[-40] != "A" else "B") + token[-39:]
    asked("a changed token", "GET", f"{web}{DIARY}?op=OPEN{broken}")
    at = f"{URL['datanode']}/webhdfs/v1{DIARY}?op=OPEN&namenoderpcaddress={FS.split('//')[1]}"
    asked("read at the DataNode by a name", "GET", at + named)
    asked("read at the DataNode by its token", "GET", at + token)
    asked("checkpoints of HDFS", "GET", f"{URL['namenode']}/imagetransfer?getimage=1&txid=0{named}")
    asked("fsck", "GET", f"{URL['namenode']}/fsck?ugi={NAME}&path=/{named}")


def over_yarns_rest() -> None:
    """Try to see, submit, end and change what is YARN's."""
    yarn, named = f"{URL['resourcemanager']}/ws/v1/cluster", f"?user.name={NAME}"
    asked("list applications", "GET", f"{yarn}/apps{named}")
    asked("a new application", "POST", f"{yarn}/apps/new-application{named}")
    work = {
        "application-id": f"{context.applicationId[:-4]}9999",
        "application-name": "x",
        "am-container-spec": {"commands": {"command": "sleep 60"}},
        "application-type": "YARN",
    }
    asked("submit over REST", "POST", f"{yarn}/apps{named}", work)
    asked("end over REST", "PUT", f"{yarn}/apps/{context.applicationId}/state{named}", {"state": "KILLED"})
    size = {"resource": {"memory": 1, "vCores": 1}, "overCommitTimeout": 0}
    asked("resize a machine", "POST", f"{yarn}/nodes/{GIVEN['node']}/resource{named}", size)
    asked("change labels", "POST", f"{yarn}/remove-node-labels{named}&labels=pool")
    asked("change queues", "PUT", f"{yarn}/scheduler-conf{named}", {"x": 1})
    forged = base64.urlsafe_b64encode(b"x" * 64).decode()
    ticket = f"Market {NAME}|resourcemanager|99999999999|{forged}"
    asked("a forged ticket", "GET", f"{yarn}/apps", Authorization=ticket)
    asked("containers of a machine", "GET", f"{URL['machine']}/ws/v1/node/containers{named}")
    asked("Spark's history", "GET", f"{URL['spark-history']}/api/v1/applications{named}")


def over_pages() -> None:
    """Try the pages that every server of Hadoop has."""
    for server in ("namenode", "datanode", "resourcemanager", "jobhistory", "machine"):
        for page in ("/?", "/jmx?", "/conf?", "/logs/?", "/stacks?", "/logLevel?log=a&"):
            asked(f"the page {page} of {server}", "GET", f"{URL[server]}{page}user.name={NAME}")


def socket_of_the_submitter() -> str:
    """Open it: who can may submit for anybody."""
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(f"{STATE}/run/submitter.sock")
        return "connected"


def keys() -> list[str]:
    """Return the keys of the market and its machines that can be read here."""
    opened = []
    for path in [*glob.glob(f"{STATE}/**/*.keytab", recursive=True), f"{STATE}/secrets/ticket_key"]:
        try:
            with open(path, "rb") as file:
                opened.append(f"{path}: {len(file.read())} bytes")
        except OSError:
            continue
    return opened


attempt("its own work", own_work)
attempt("read another's file", lambda: spark.read.text(FS + DIARY).first())
attempt("write into another's home", lambda: spark.range(1).write.csv(f"{FS}{HOME}/mine"))
attempt("list another's home by a name", lambda: as_named("list"))
attempt("delete another's home by a name", lambda: as_named("delete"))
over_rpc()
over_webhdfs()
over_yarns_rest()
over_pages()
attempt("the submitter's socket", socket_of_the_submitter)
attempt("keys of the market", keys)
attempt("keys by variables", lambda: sorted(name for name in os.environ if name.startswith("KRB5")))
attempt("its own work afterwards", lambda: spark.read.csv(OWN).count())
print("FOUND " + json.dumps(found))
