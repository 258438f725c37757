"""What `spark-submit` is told of a job: only the market's own words; what users wrote travels encoded.

YARN starts programs through a shell and replaces braces in what it is given, Spark splits lists at commas and
expands patterns in addresses, and Airflow renders templates. So parameters are carried in one encoded
argument (java/runner decodes it), addresses percent-encoded, and values of variables quoted for the shell.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from typing import Any

from market.hadoop import paths
from market.hadoop.allocation import DRIVER_CORES, overhead_mib
from market.hadoop.site import POOL_LABEL
from market.hadoop.spark import WORKING_JVM
from market.jobs import grid, runs
from market.jobs.spec import JobSpec
from market.kit import settings
from market.kit.settings import Settings
from market.people import homes

JAVA_RUNNER_CLASS = "distributedmarket.Program"
DRIVER_LABEL = "spark.yarn.am.nodeLabelExpression"
TAGS = "spark.yarn.tags"
_ENVIRONMENT = "environment"  # the folder in which a job's own Python environment is unpacked

# What a shell replaces inside double quotes, and what YARN does before it: {{NAME}} becomes $NAME, and <CPS>
# and <LOG_DIR> stand for other things. Two quotes between two characters are nothing to the shell.
_SHELL = str.maketrans({"\\": "\\\\", '"': '\\"', "$": "\\$", "`": "\\`"})
_YARN = {"{{": '{""{', "}}": '}""}', "<CPS>": '<""CPS>', "<LOG_DIR>": '<""LOG_DIR>'}
_SUFFIX = re.compile(r"(\.tar)?\.[A-Za-z0-9]+\Z")


def arguments(job_id: str, username: str, spec: JobSpec, point: int = 0) -> dict[str, Any]:
    """Return the arguments of SparkSubmitOperator for the first run of a job's point.

    Those of a later run differ in its tag alone: see `tags`.
    """
    loaded = settings.load()
    root = paths.below(homes.path(username), spec.root_path)
    places = [loaded.hdfs_uri + place for _, place in files(job_id, username, spec, point)]
    libs, archives, entry = places[: len(spec.libs)], places[len(spec.libs) : -1], places[-1]
    if spec.python_env:
        archives[-1] += f"#{_ENVIRONMENT}"
    jars = [place for place, name in zip(libs, spec.libs, strict=True) if name.lower().endswith(".jar")]
    python = [place for place in libs if place not in jars]
    variables = _variables(loaded, job_id, root, spec.place(point))
    call = encoded(paths.base(entry), spec.main_class or "", *_params(spec, point, variables))
    program: dict[str, Any] = {
        "application": loaded.hdfs_uri + paths.PYTHON_RUNNER,
        "files": entry,
        "jars": ",".join(jars) or None,
    }
    if spec.is_jar:
        program = {
            "application": loaded.hdfs_uri + paths.JAVA_RUNNER,
            "java_class": JAVA_RUNNER_CLASS,
            "jars": ",".join([entry, *jars]),
        }
    return {
        **program,
        "name": f"market {runs.first_tag(job_id, spec.place(point))}",
        "py_files": ",".join(python) or None,
        "archives": ",".join(archives) or None,
        "application_args": [call],
        "proxy_user": username,
        "yarn_queue": spec.machine_type,
        "num_executors": spec.executors,
        "executor_cores": spec.executor_cores,
        "executor_memory": f"{spec.executor_memory}m",
        "driver_memory": f"{spec.driver_memory}m",
        "conf": {**spec.spark_conf, **_conf(loaded, job_id, spec, point, variables)},
    }


def files(job_id: str, username: str, spec: JobSpec, point: int = 0) -> list[tuple[str, str]]:
    """Return the files of a program, its own last: (where it lies, where Spark is told that it lies).

    Where the two differ it must be copied before. No two have one name: Spark puts them all in one folder.
    """
    root = paths.below(homes.path(username), spec.root_path)
    placed = []
    archives = (*spec.archives, spec.python_env) if spec.python_env else spec.archives
    for number, name in enumerate((*spec.libs, *archives, spec.entry_file)):
        source, base = f"{root}/{name}", paths.base(name)
        if paths.is_plain(source):
            placed.append((source, source))
            continue
        suffix = _SUFFIX.search(base)
        plain = base if paths.is_plain(base) else f"file-{number}{suffix.group() if suffix else ''}"
        placed.append((source, f"{paths.program(job_id, spec.place(point))}/{number}/{plain}"))
    return placed


def _variables(loaded: Settings, job_id: str, root: str, place: int | None) -> dict[str, str]:
    """Return what a program finds in its environment."""
    variables = {
        "MARKET_JOB_ID": job_id,
        "MARKET_INPUT": loaded.hdfs_uri + root,
        "MARKET_OUTPUT": loaded.hdfs_uri + paths.output(job_id, place),
    }
    return variables if place is None else variables | {"MARKET_POINT": str(place)}


def _conf(
    loaded: Settings, job_id: str, spec: JobSpec, point: int, variables: Mapping[str, str]
) -> dict[str, str]:
    """Return what a job may not set itself."""
    passed = {name: for_shell(value) for name, value in variables.items()}
    # PySpark gives executors' Python these values as they stand here: sitecustomize.py puts the true ones in.
    passed["MARKET_VARIABLES"] = _base64(json.dumps(variables))
    conf = {
        TAGS: tags(runs.first_tag(job_id, spec.place(point)), job_id),
        DRIVER_LABEL: POOL_LABEL if loaded.pool.enabled else spec.machine_type,
        "spark.yarn.executor.nodeLabelExpression": spec.machine_type,
        "spark.driver.cores": str(DRIVER_CORES),
        "spark.driver.memoryOverhead": f"{overhead_mib(spec.driver_memory)}m",
        "spark.executor.memoryOverhead": f"{overhead_mib(spec.executor_memory)}m",
        "spark.dynamicAllocation.enabled": "false",
        "spark.yarn.stagingDir": loaded.hdfs_uri + paths.STAGING,
        "spark.yarn.submit.waitAppCompletion": "false",
    }
    if spec.is_jar:  # its own work may be done in the driver's Java
        conf["spark.driver.extraJavaOptions"] = WORKING_JVM
    if spec.python_env:
        passed["PYSPARK_PYTHON"] = f"./{_ENVIRONMENT}/bin/python"
    for name, value in passed.items():
        conf[f"spark.yarn.appMasterEnv.{name}"] = conf[f"spark.executorEnv.{name}"] = value
    return conf


def tags(tag: str, job_id: str) -> str:
    """Return the tags of a run's application: its own first, then those of its point and of its job."""
    return ",".join(dict.fromkeys((tag, runs.point_tag(tag), job_id)))


def _params(spec: JobSpec, point: int, variables: Mapping[str, str]) -> list[str]:
    values = {"input": variables["MARKET_INPUT"], "output": variables["MARKET_OUTPUT"]}
    values |= {name: grid.text(value) for name, value in spec.points[point].items()}
    return [grid.filled(item, values) for item in spec.app_params]


def encoded(*words: str) -> str:
    """Return words, none of which holds a NUL, as one that no shell, template or quoting touches."""
    return _base64("\0".join(words))


def for_shell(value: str) -> str:
    """Return a value so that `export NAME="<it>"` in YARN's start script gives exactly the value."""
    value = value.translate(_SHELL)
    for sign, safe in _YARN.items():
        while sign in value:
            value = value.replace(sign, safe)
    return value


def _base64(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")
