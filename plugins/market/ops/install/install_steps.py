"""What setup installs below `.market/`: the steps, in their order. Standard library only.

The stack needs all of them but two: where the market's own Hadoop comes from Maven Central, a machine that is
lent gets it from its market, and needs no Maven. Steps of one name leave the same behind.
"""

from __future__ import annotations

import os
import shutil
import sys
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from market.kit.settings import Paths
from market.ops.install import class_data, submitter_jar
from market.ops.install.shell import SetupError, command

UV = "uv==0.13.9"
# Supervisor's last release is 15 months old, but what else is on PyPI is older (circus 21 months; honcho 25,
# and it restarts nothing), and Debian's runit and s6 do not tell why a service does not run.
SUPERVISOR = "supervisor==4.3.0"
_SITE = "sitecustomize.py"


@dataclass(frozen=True)
class Step:
    """One step: `inputs` decide whether it must run again, `run` does it."""

    name: str
    title: str
    inputs: Callable[[], Iterable[bytes]]
    run: Callable[[], None]
    needed: Callable[[], bool] = field(default=lambda: False)
    undoes: tuple[str, ...] = ()  # steps that are no longer done after this one


ENVIRONMENT, TEST_ENVIRONMENT = "airflow-env", "airflow-env-test"
Fetch = Callable[[Path], object]  # writes Hadoop's archive, as a market gives it, into a file


def steps(paths: Paths, for_tests: bool = False) -> list[Step]:
    """Return the stack's steps in their order."""
    root = paths.root
    locks = [root / "requirements.txt"] + ([root / "requirements-test.txt"] if for_tests else [])
    pom = root / "config" / "hadoop" / "pom.xml"
    runner = root / "java" / "runner"
    runtime_lock = root / "requirements-runtime.txt"
    return [
        *agent_steps(paths),
        Step(
            "supervisor",
            "the process manager",
            lambda: [SUPERVISOR.encode()],
            lambda: _tool(paths, SUPERVISOR),
        ),
        Step(
            TEST_ENVIRONMENT if for_tests else ENVIRONMENT,
            "Airflow's environment" + (" with the test tools" if for_tests else ""),
            lambda: [lock.read_bytes() for lock in locks],
            lambda: _environment(paths, paths.airflow_env, locks),
            lambda: not (paths.airflow_env / "bin" / ("pytest" if for_tests else "airflow")).exists(),
            undoes=(ENVIRONMENT if for_tests else TEST_ENVIRONMENT,),
        ),
        Step(
            "hadoop",
            "Hadoop's servers (about 110 MB)",
            lambda: [pom.read_bytes()],
            lambda: _hadoop(paths, pom),
            undoes=("hadoop-archive",),
        ),
        Step(
            "hadoop-archive",
            "Hadoop's jars in one file, for machines that join",
            lambda: [pom.read_bytes()],
            lambda: _hadoop_archive(paths),
            lambda: not paths.hadoop_archive.exists(),
        ),
        _runtime_step(paths),
        Step(
            "pyspark",
            "an archive of PySpark's compiled modules",
            lambda: [runtime_lock.read_bytes(), (runner / _SITE).read_bytes()],
            lambda: _pyspark(paths, runner / _SITE),
        ),
        Step(
            "runner",
            "what starts the programs of jobs",
            lambda: [
                runtime_lock.read_bytes(),
                *(path.read_bytes() for path in sorted(runner.glob("*.java"))),
            ],
            lambda: _runner(paths, runner),
        ),
        _class_data_step(paths),
        Step(
            "submitter",
            "the warm submitter of jobs",
            lambda: [
                runtime_lock.read_bytes(),
                *(path.read_bytes() for path in submitter_jar.sources()),
            ],
            lambda: submitter_jar.build(paths),
            lambda: not submitter_jar.jar(paths).exists(),
        ),
    ]


def agent_steps(paths: Paths) -> list[Step]:
    """Return the steps before the agent can speak with its market: some ten packages of pure Python."""
    lock = paths.root / "requirements-agent.txt"
    return [
        Step("tools", "the installer", lambda: [UV.encode()], lambda: _tools(paths), undoes=("supervisor",)),
        Step(
            "agent-env",
            "the agent's environment",
            lambda: [lock.read_bytes()],
            lambda: _environment(paths, paths.agent_env, [lock]),
            lambda: not (paths.agent_env / "bin" / "python").exists(),
        ),
    ]


def machine_steps(paths: Paths, fetch: Fetch) -> list[Step]:
    """Return the steps after which a machine can run jobs."""
    pom = paths.root / "config" / "hadoop" / "pom.xml"
    return [
        Step(
            "hadoop",
            "Hadoop's jars, from the market (about 110 MB)",
            lambda: [pom.read_bytes()],
            lambda: _fetched_hadoop(paths, fetch),
        ),
        _runtime_step(paths),
        _class_data_step(paths),
    ]


def _runtime_step(paths: Paths) -> Step:
    lock = paths.root / "requirements-runtime.txt"
    return Step(
        "runtime",
        "the jobs' runtime: Spark and Python's libraries (about 500 MB)",
        lambda: [lock.read_bytes()],
        lambda: _runtime(paths, lock),
    )


def _class_data_step(paths: Paths) -> Step:
    lock = paths.root / "requirements-runtime.txt"
    made_by = (lock, class_data.PROGRAM, Path(class_data.__file__))
    return Step(
        "class-data",
        "an archive of Spark's classes, which halves the start of a job",
        lambda: [*(path.read_bytes() for path in made_by), class_data.java_build()],
        lambda: class_data.make(paths),
    )


def _tools(paths: Paths) -> None:
    command([sys.executable, "-m", "venv", "--clear", str(paths.tools)], "python3 -m venv")
    _tool(paths, UV)


def _tool(paths: Paths, package: str) -> None:
    command([str(paths.tools / "bin" / "pip"), "install", "-q", package], f"pip install {package}")


def _environment(paths: Paths, target: Path, locks: list[Path]) -> None:
    uv = str(paths.tools / "bin" / "uv")
    # Linked from a cache elsewhere, a package would change with the cache; copies stay inside the clone.
    environment = {**os.environ, "UV_CACHE_DIR": str(paths.installs / "uv-cache"), "UV_NO_CONFIG": "1"}
    if not (target / "bin" / "python").exists():
        # The system's own, also when this runs in an environment that setup has made before.
        python = os.path.realpath(sys.executable)
        command([uv, "venv", "--clear", "--python", python, str(target)], "uv venv", env=environment)
    arguments = [uv, "pip", "sync", "--python", str(target / "bin" / "python"), *map(str, locks)]
    command(arguments, "uv pip sync", env=environment)


def _hadoop(paths: Paths, pom: Path) -> None:
    # Filled aside and put in place in one move: a stopped Maven leaves no half of a class path.
    fresh = paths.installs / "hadoop.new"
    shutil.rmtree(fresh, ignore_errors=True)
    arguments = ["mvn", "-B", "-q", "-f", str(pom), f"-Dmaven.repo.local={paths.installs / 'm2'}"]
    command([*arguments, f"-Dmarket.target={fresh}", "package"], "Maven")
    shutil.rmtree(fresh / "build", ignore_errors=True)
    shutil.rmtree(paths.hadoop, ignore_errors=True)
    fresh.rename(paths.hadoop)


def _hadoop_archive(paths: Paths) -> None:
    fresh = paths.hadoop_archive.with_suffix(".zip.new")
    with zipfile.ZipFile(fresh, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(paths.hadoop.glob("jars/*.jar")):
            archive.write(path, path.relative_to(paths.hadoop))
    fresh.rename(paths.hadoop_archive)


def _fetched_hadoop(paths: Paths, fetch: Fetch) -> None:
    fresh, archive = paths.installs / "hadoop.new", paths.installs / "hadoop.zip.part"
    shutil.rmtree(fresh, ignore_errors=True)
    fetch(archive)
    try:
        with zipfile.ZipFile(archive) as opened:
            opened.extractall(fresh)
    except zipfile.BadZipFile:
        raise SetupError(
            "what the market sent as Hadoop's jars is no zip file: start the agent again"
        ) from None
    finally:
        archive.unlink()
    shutil.rmtree(paths.hadoop, ignore_errors=True)
    fresh.rename(paths.hadoop)


def _runtime(paths: Paths, lock: Path) -> None:
    _environment(paths, paths.runtime, [lock])
    jars = paths.runtime / "jars"
    jars.unlink(missing_ok=True)
    jars.symlink_to(_spark(paths).relative_to(paths.runtime) / "jars")


def _spark(paths: Paths) -> Path:
    found = next(paths.runtime.glob("lib/python3*/site-packages/pyspark"), None)
    if found is None:
        raise SetupError(f"{paths.runtime} holds no pyspark: remove it and run the same command again")
    return found


def _pyspark(paths: Paths, site: Path) -> None:
    """Pack pyspark and py4j with their compiled modules, uncompressed.

    The zip that comes with Spark holds sources only, and every Python process of a job compiles them again.
    """
    spark = _spark(paths)
    python = str(paths.runtime / "bin" / "python")
    work = paths.runtime / "archive.new"
    shutil.rmtree(work, ignore_errors=True)
    skipped = shutil.ignore_patterns(
        "jars", "bin", "sbin", "examples", "data", "licenses", "__pycache__", "tests"
    )
    shutil.copytree(spark, work / "pyspark", ignore=skipped)
    shutil.rmtree(work / "pyspark" / "python", ignore_errors=True)
    shutil.copytree(spark.parent / "py4j", work / "py4j", ignore=skipped)
    shutil.copy(site, work)
    # In error messages the files stand with their place in the archive, not in this folder.
    names = ["-s", str(work), "-p", "pyspark.zip"]
    command([python, "-m", "compileall", "-q", "-b", *names, str(work)], "compileall")
    target = paths.runtime / "pyspark.zip"
    with zipfile.ZipFile(target.with_suffix(".zip.new"), "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(work.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(work))
    target.with_suffix(".zip.new").rename(target)
    shutil.rmtree(work)


def _runner(paths: Paths, sources: Path) -> None:
    classes = paths.runtime / "runner.new"
    shutil.rmtree(classes, ignore_errors=True)
    classes.mkdir()
    found = sorted(map(str, sources.glob("*.java")))
    arguments = [
        "javac",
        "--release",
        "17",
        "-Xlint:all,-path",
        "-cp",
        f"{paths.runtime}/jars/*",
        "-d",
        str(classes),
    ]
    command([*arguments, *found], "javac")
    with zipfile.ZipFile(paths.runtime / "market_program.jar", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(classes.rglob("*.class")):
            archive.write(path, path.relative_to(classes))
    shutil.rmtree(classes)
