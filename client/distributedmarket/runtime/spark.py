"""The jobs' runtime: Spark and the Python libraries of jobs, in one environment."""

from __future__ import annotations

from pathlib import Path

from distributedmarket.errors import SetupError
from distributedmarket.runtime import aside, python
from distributedmarket.runtime.places import Places
from distributedmarket.runtime.release import LOCK
from distributedmarket.runtime.steps import Step


def step(places: Places) -> Step:
    """Return the step that installs it."""
    return Step(
        "runtime",
        "the jobs' runtime: Spark and Python's libraries (about 500 MB)",
        lambda: [LOCK.read_bytes()],
        lambda: _install(places),
        about_s=70,
        mib=1800,
    )


def home(runtime: Path) -> Path:
    """Return the folder of PySpark in a runtime. Raises SetupError."""
    spark = next(runtime.glob("lib/python3*/site-packages/pyspark"), None)
    if spark is None:
        raise SetupError(f"{runtime} holds no pyspark: remove it and run the same command again")
    return spark


def _install(places: Places) -> None:
    runtime = python.environment(places, places.runtime_link, [LOCK])
    jars = runtime / "jars"
    jars.unlink(missing_ok=True)
    jars.symlink_to(home(runtime).relative_to(runtime) / "jars")
    aside.use(places.runtime_link, runtime)
