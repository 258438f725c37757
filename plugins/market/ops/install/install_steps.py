"""What setup installs below `.market/`: the steps, in their order. Standard library only.

The stack needs all that a machine needs (distributedmarket.runtime), and more. One step has two ways: the
market's own Hadoop comes from Maven Central; a machine that is lent gets it from its market, without Maven.
"""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Sequence
from pathlib import Path

from distributedmarket.runtime import aside, machine, python, spark
from distributedmarket.runtime.places import Places
from distributedmarket.runtime.release import LOCK, POM
from distributedmarket.runtime.shell import command
from distributedmarket.runtime.steps import Step
from market.kit.settings import Paths
from market.ops.install import client_package, hadoop_classes, history_jar, javac, submitter_jar

# Supervisor's last release is 15 months old, but what else is on PyPI is older (circus 21 months; honcho 25,
# and it restarts nothing), and Debian's runit and s6 do not tell why a service does not run.
SUPERVISOR = "supervisor==4.3.0"
# What every Python process of a job finds beside PySpark: modules, and a package.
_BESIDE_PYSPARK = ("sitecustomize.py", "market_folder.py", "market_secrets.py")
_RUNNER = "market_runner"

ENVIRONMENT, TEST_ENVIRONMENT = "airflow-env", "airflow-env-test"


def steps(paths: Paths, for_tests: bool = False) -> list[Step]:
    """Return the stack's steps in their order."""
    root = paths.root
    locks = [root / "requirements.txt"] + ([root / "requirements-test.txt"] if for_tests else [])
    runner = root / "java" / "runner"
    places = places_of(paths)
    return [
        *agent_steps(paths),
        Step(
            "supervisor",
            "the process manager",
            lambda: [SUPERVISOR.encode()],
            lambda: python.add_tool(places, SUPERVISOR),
            about_s=3,
        ),
        Step(
            TEST_ENVIRONMENT if for_tests else ENVIRONMENT,
            "Airflow's environment" + (" with the test tools" if for_tests else ""),
            lambda: [lock.read_bytes() for lock in locks],
            lambda: _environment(places, paths.airflow_env, locks),
            lambda: not (paths.airflow_env / "bin" / ("pytest" if for_tests else "airflow")).exists(),
            undoes=(ENVIRONMENT if for_tests else TEST_ENVIRONMENT,),
            about_s=80,
            mib=1200,
        ),
        Step(
            "hadoop",
            "Hadoop's servers (about 110 MB)",
            lambda: [POM.read_bytes()],
            lambda: _hadoop(paths),
            undoes=("hadoop-archive", "hadoop-classes"),
            about_s=60,
            mib=245,
        ),
        Step(
            "hadoop-classes",
            "the market's own classes for Hadoop's servers",
            lambda: [POM.read_bytes(), *(path.read_bytes() for path in hadoop_classes.sources())],
            lambda: hadoop_classes.build(paths),
            lambda: hadoop_classes.lacking(paths),
            about_s=4,
        ),
        Step(
            "hadoop-archive",
            "Hadoop's jars in one file, for machines that join",
            lambda: [POM.read_bytes()],
            lambda: _hadoop_archive(paths),
            lambda: not paths.hadoop_archive.exists(),
            mib=105,
        ),
        spark.step(places),
        Step(
            "pyspark",
            "an archive of PySpark's compiled modules",
            lambda: [LOCK.read_bytes(), *(path.read_bytes() for path in _beside_pyspark(runner))],
            lambda: _pyspark(paths, runner),
            about_s=4,
            mib=10,
        ),
        Step(
            "runner",
            "what starts the programs of jobs",
            lambda: [
                LOCK.read_bytes(),
                *(path.read_bytes() for path in sorted(runner.glob("*.java"))),
            ],
            lambda: _runner(paths, runner),
            about_s=6,
        ),
        machine.class_data_step(places),
        Step(
            "submitter",
            "the warm submitter of jobs",
            lambda: [
                LOCK.read_bytes(),
                *(path.read_bytes() for path in submitter_jar.sources()),
            ],
            lambda: submitter_jar.build(paths),
            lambda: not submitter_jar.jar(paths).exists(),
            about_s=4,
        ),
        Step(
            "client",
            "the client as one file, for people and machines elsewhere",
            lambda: [path.read_bytes() for path in client_package.sources()],
            lambda: client_package.build(paths),
            lambda: client_package.lacking(paths),
        ),
        Step(
            "history",
            "what guards Spark's History Server",
            lambda: [
                LOCK.read_bytes(),
                *(path.read_bytes() for path in history_jar.sources()),
            ],
            lambda: history_jar.build(paths),
            lambda: not history_jar.jar(paths).exists(),
            about_s=4,
        ),
    ]


def agent_steps(paths: Paths) -> list[Step]:
    """Return the steps before `./market share` can speak with its market: ten packages of pure Python."""
    lock = paths.root / "requirements-agent.txt"
    places = places_of(paths)
    return [
        python.tools_step(places),
        Step(
            "agent-env",
            "the agent's environment",
            lambda: [lock.read_bytes()],
            lambda: _environment(places, paths.agent_env, [lock]),
            lambda: not (paths.agent_env / "bin" / "python").exists(),
            about_s=3,
            mib=15,
        ),
    ]


def places_of(paths: Paths) -> Places:
    """Return where this clone keeps what a machine installs, and its machines."""
    return Places(installs=paths.installs, state=paths.state)


def _environment(places: Places, link: Path, locks: Sequence[Path]) -> None:
    aside.use(link, python.environment(places, link, locks))


def _hadoop(paths: Paths) -> None:
    aside.refuse_in_use(paths.hadoop)
    # Filled aside and put in place in one move: a stopped Maven leaves no half of a class path.
    fresh = paths.installs / "hadoop.new"
    shutil.rmtree(fresh, ignore_errors=True)
    arguments = ["mvn", "-B", "-q", "-f", str(POM), f"-Dmaven.repo.local={paths.installs / 'm2'}"]
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


def _beside_pyspark(runner: Path) -> list[Path]:
    """Return what a job's Python finds beside PySpark: the market's own modules."""
    return [*(runner / name for name in _BESIDE_PYSPARK), *sorted((runner / _RUNNER).glob("*.py"))]


def _pyspark(paths: Paths, runner: Path) -> None:
    """Pack pyspark, py4j and the market's own modules with their compiled ones, uncompressed.

    The zip that comes with Spark holds sources only, and every Python process of a job compiles them again.
    """
    source = spark.home(paths.runtime)
    program = str(paths.runtime / "bin" / "python")
    work = paths.runtime / "archive.new"
    shutil.rmtree(work, ignore_errors=True)
    skipped = shutil.ignore_patterns(
        "jars", "bin", "sbin", "examples", "data", "licenses", "__pycache__", "tests"
    )
    shutil.copytree(source, work / "pyspark", ignore=skipped)
    shutil.rmtree(work / "pyspark" / "python", ignore_errors=True)
    shutil.copytree(source.parent / "py4j", work / "py4j", ignore=skipped)
    for path in _beside_pyspark(runner):
        target = work / path.relative_to(runner)
        target.parent.mkdir(exist_ok=True)
        shutil.copy(path, target)
    # In error messages the files stand with their place in the archive, not in this folder.
    names = ["-s", str(work), "-p", "pyspark.zip"]
    command([program, "-m", "compileall", "-q", "-b", *names, str(work)], "compileall")
    target = paths.runtime / "pyspark.zip"
    with zipfile.ZipFile(target.with_suffix(".zip.new"), "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(work.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(work))
    target.with_suffix(".zip.new").rename(target)
    shutil.rmtree(work)


def _runner(paths: Paths, sources: Path) -> None:
    target = paths.runtime / "market_program.jar"
    javac.jar(sorted(sources.glob("*.java")), f"{paths.runtime}/jars/*", target)
