"""Java's class-data sharing for jobs: an archive of the classes that Spark loads, made once on each machine.

Java maps the archive instead of reading, checking and linking some 16 000 classes at every start. It uses
it only with the same Java, the same collector and the same class path prefix (`<runtime>/jars/*` in the
order of the folder); with any difference it runs on without.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

from distributedmarket.runtime import java
from distributedmarket.runtime.places import Places
from distributedmarket.runtime.release import LOCK
from distributedmarket.runtime.shell import command
from distributedmarket.runtime.steps import Step

PROGRAM = Path(__file__).with_name("rehearsal.py")
_HADOOP = "org/apache/hadoop"
_CLIENTS = {
    "spark-yarn_*.jar": ("org/apache/spark/",),
    "hadoop-client-api-*.jar": tuple(
        f"{_HADOOP}/{part}/" for part in ("hdfs", "io/retry", "ipc", "net", "security", "service", "yarn")
    ),
    "hadoop-client-runtime-*.jar": (f"{_HADOOP}/thirdparty/protobuf/",),
}
Fetch = Callable[[Path], bool]  # writes a market's list of classes into a file; False: it has none
_COLLECTOR = "-XX:+UseSerialGC"  # the jobs' (hadoop/spark.py): an archive holds for one collector only


def step(places: Places, fetch: Fetch | None = None) -> Step:
    """Return the step that makes the archive: again for other jars, another Java, another way to make it.

    `fetch` asks the market which classes to archive; without it, or where the market's Java is of another
    version, a rehearsal tells.
    """
    made_by = (LOCK, PROGRAM, Path(__file__))
    return Step(
        "class-data",
        "an archive of Spark's classes, which halves the start of a job",
        lambda: [*(path.read_bytes() for path in made_by), java.build().encode()],
        lambda: make(places, fetch),
    )


def archive(runtime: Path) -> Path:
    """Return where the archive lies in a runtime."""
    return runtime / "spark.jsa"


def class_list(runtime: Path) -> Path:
    """Return where the list of the archived classes lies in a runtime; its first line names the Java."""
    return runtime / "spark.classes"


def options(runtime: Path) -> list[str]:
    """Return the options with which Java starts from the archive, or without it where it does not fit.

    Java would map it at another address each time and then correct all pointers in it: 40 000 page faults
    and 100 MB of memory of its own for each process. The option that leaves it in its place is a diagnostic
    one, in Java 17 and 21 alike.
    """
    in_place = ["-XX:+UnlockDiagnosticVMOptions", "-XX:ArchiveRelocationMode=0"]
    return [f"-XX:SharedArchiveFile={archive(runtime)}", "-Xshare:auto", *in_place]


def problem(runtime: Path) -> str:
    """Return why jobs start without the archive, in words; empty when it is in force."""
    if not archive(runtime).exists():
        return "there is no class-data archive: run ./market setup"
    # A damaged archive crashes Java, which would leave its report in whatever folder this runs in.
    words = ["java", "-XX:+ErrorFileToStdout", "-Xshare:on", _COLLECTOR]
    words.append(f"-XX:SharedArchiveFile={archive(runtime)}")
    tried = subprocess.run([*words, "-cp", f"{runtime}/jars/*", "-version"], capture_output=True, text=True)
    if tried.returncode == 0:
        return ""
    lines = (tried.stdout + tried.stderr).splitlines()
    why = next((line for line in lines if "shared" in line.lower()), f"exit code {tried.returncode}")
    return f"Java refuses the class-data archive ({why}): run ./market setup"


def make(places: Places, fetch: Fetch | None = None) -> None:
    """Archive the classes of the market's list, or of a rehearsal (a good minute; 300 MB with all)."""
    runtime, log = places.runtime, places.installs / "class-data.log"
    jars = f"{runtime}/jars/*"
    with tempfile.TemporaryDirectory(dir=places.installs) as folder:
        scratch = Path(folder)
        listed = scratch / "classes"
        if fetch is None or not fetch(listed) or listed.read_text().partition("\n")[0] != _for_this_java():
            _rehearse(runtime, scratch, jars, log)
            # In the order in which they are loaded: they lie like this in the archive, and a start reads on.
            entries = [*_entries(scratch / "driver.classes"), *_entries(scratch / "executor.classes")]
            _write(listed, dict.fromkeys([*entries, *_clients_of_hadoop(runtime)]))
        fresh = scratch / "spark.jsa"
        arguments = ["java", "-Xshare:dump", _COLLECTOR, f"-XX:SharedClassListFile={listed}"]
        arguments += [f"-XX:SharedArchiveFile={fresh}", "-cp", jars]
        command(arguments, "java -Xshare:dump", log)
        for made, place in ((fresh, archive(runtime)), (listed, class_list(runtime))):
            place.unlink(missing_ok=True)
            shutil.move(made, place)
            place.chmod(0o644)


def _for_this_java() -> str:
    """Return the first line of a list for this Java; to Java itself it is a comment."""
    return f"# Java {java.version()}"


def _write(listed: Path, classes: Iterable[str]) -> None:
    listed.write_text("\n".join([_for_this_java(), *classes]) + "\n")


def _rehearse(runtime: Path, scratch: Path, jars: str, log: Path) -> None:
    (scratch / "conf").mkdir()
    listing = "-XX:DumpLoadedClassList="
    options = {
        "spark.driver.extraClassPath": jars,
        "spark.executor.extraClassPath": jars,
        "spark.executor.extraJavaOptions": f"{_COLLECTOR} {listing}{scratch}/executor.classes",
        "spark.executor.memory": "512m",
        "spark.eventLog.enabled": "true",
        "spark.eventLog.dir": str(scratch),
        "spark.ui.enabled": "true",
        "spark.ui.port": "0",
        "spark.local.dir": str(scratch),
        "spark.worker.ui.port": "0",
        "spark.decommission.enabled": "true",
        "spark.authenticate": "true",
        "spark.authenticate.secret": "rehearsal",
    }
    # One worker in a process of its own: drivers and executors load different classes.
    arguments = [str(runtime / "bin" / "spark-submit"), "--master", "local-cluster[1,1,512]"]
    arguments += ["--driver-java-options", f"{_COLLECTOR} {listing}{scratch}/driver.classes"]
    for name, value in options.items():
        arguments += ["--conf", f"{name}={value}"]
    environment = os.environ | {
        "PATH": f"{runtime / 'bin'}:{os.environ.get('PATH', os.defpath)}",
        "SPARK_CONF_DIR": str(scratch / "conf"),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_WORKER_DIR": str(scratch / "work"),
    }
    words = [*arguments, str(PROGRAM), str(scratch / "out")]
    command(words, "the rehearsal of a Spark job", log, env=environment)


def _entries(path: Path) -> list[str]:
    """Return a class list's entries: names of classes, and (with @) what Java makes of lambda expressions."""
    return [line for line in path.read_text().splitlines() if line and not line.startswith("#")]


def _clients_of_hadoop(runtime: Path) -> list[str]:
    """Return the classes with which Spark speaks to YARN and HDFS: the rehearsal has neither.

    Whole packages, of which a driver loads a part: the rest costs space only.
    """
    classes: list[str] = []
    for pattern, packages in _CLIENTS.items():
        jar = next((runtime / "jars").glob(pattern))
        with zipfile.ZipFile(jar) as opened:
            names = (name.removesuffix(".class") for name in opened.namelist() if name.endswith(".class"))
            classes += sorted(name for name in names if name.startswith(packages))
    return classes
