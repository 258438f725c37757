"""The warm submitter as a process of the stack: how it is started and asked how it is."""

from __future__ import annotations

import shutil
from pathlib import Path

from distributedmarket.runtime import class_data
from market.hadoop import kerberos, spark
from market.hadoop import paths as places
from market.jobs.submission import environment_build, warm_submitter
from market.kit.settings import Settings
from market.ops.install import submitter_jar

PROGRAMS = Path(warm_submitter.__file__).with_name("bin")  # holds `spark-submit`
_MAIN = "distributedmarket.submitter.Submitter"
_JVM = [
    "-Xmx96m",
    "-XX:+UseSerialGC",  # also the class-data archive's collector
    "-XX:TieredStopAtLevel=1",
    "-Xss512k",
    "-XX:MaxMetaspaceSize=160m",
    "-XX:ReservedCodeCacheSize=64m",
    "-XX:+ExitOnOutOfMemoryError",
]
# Refused by the ResourceManager: nobody may submit to this queue (hadoop/site.py).
_REHEARSAL_QUEUE = REHEARSAL_USER = "nobody"


def socket(settings: Settings) -> Path:
    """Return its socket; the folder is closed to other accounts, and so is the file."""
    return settings.paths.submitter_socket


def command(settings: Settings) -> list[str]:
    """Return the command that runs it."""
    paths = settings.paths
    shutil.rmtree(_folder(settings), ignore_errors=True)  # what an earlier process could not delete any more
    for name in ("tmp", "local"):
        (_folder(settings) / name).mkdir(mode=0o700, parents=True)
    # The runtime's jars come first: the archive of their classes holds for this beginning only.
    path = [f"{paths.runtime}/jars/*", str(submitter_jar.jar(paths))]
    path += [str(paths.hadoop_conf), str(paths.conf / "spark")]
    words = ["java", *_JVM, *class_data.options(paths.runtime)]
    words += [f"-Djava.io.tmpdir={_folder(settings) / 'tmp'}"]
    words += [f"-Dlog4j2.configurationFile={paths.conf / 'spark' / 'log4j2.properties'}"]
    words += _login(settings)
    words += ["-cp", ":".join(path), _MAIN, str(socket(settings))]
    rehearsal = ["--master", "yarn", "--deploy-mode", "cluster", "--name", "rehearsal"]
    rehearsal += ["--proxy-user", REHEARSAL_USER, "--queue", _REHEARSAL_QUEUE]
    rehearsal += ["--conf", f"spark.yarn.stagingDir={settings.hdfs_uri}{places.STAGING}"]
    rehearsal += ["--conf", "spark.yarn.submit.waitAppCompletion=false"]
    return [*words, *rehearsal, settings.hdfs_uri + places.PYTHON_RUNNER]


def _login(settings: Settings) -> list[str]:
    """Return the options by which it has a key of its own (Login.java)."""
    if not settings.kerberos:
        return []
    principal = kerberos.principal(settings, kerberos.SUBMITTER)
    own = [f"-Dmarket.principal={principal}", f"-Dmarket.keytab={settings.keytab}"]
    return [*kerberos.java_options(settings), *own]


def environment(settings: Settings) -> dict[str, str]:
    """Return its variables: those of the operator's `spark-submit`, and no secret of Airflow's."""
    # Spark's own command sets the hash seed, and hands it on to the programs of jobs.
    return spark.environment(settings) | {
        "PYTHONHASHSEED": "0",
        "SPARK_LOCAL_DIRS": str(_folder(settings) / "local"),
        "MALLOC_ARENA_MAX": "2",
    }


def check(settings: Settings) -> str:
    """Return what is wrong with it, in words; raise OSError if it does not answer."""
    warm_submitter.status(str(socket(settings)))
    return ""


def note(settings: Settings) -> str:
    """Return what is worth knowing of it, and of how jobs start."""
    state = warm_submitter.status(str(socket(settings)))
    notes = {
        "jobs start slowly": class_data.problem(settings.paths.runtime),
        "no packages are fetched for jobs": environment_build.problem(),
    }
    return "; ".join([state, *(f"{what}: {why}" for what, why in notes.items() if why)])


def _folder(settings: Settings) -> Path:
    return settings.paths.run / "submitter"
