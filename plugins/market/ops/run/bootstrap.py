"""What the services find when they start: databases, HDFS's folders, the files that jobs share."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

from distributedmarket.errors import SetupError
from market.cluster.clients import hdfs
from market.hadoop.paths import JAVA_RUNNER, PYSPARK_ARCHIVE, PYTHON_RUNNER, STAGING
from market.kit.patience import Patience
from market.kit.settings import Settings
from market.ops.database import migrate, postgres
from market.ops.run import release, secrets
from market.ops.run.services import Service, base_environment, environment, hadoop_environment, java

_CHUNK = 1 << 20
# Folder of HDFS -> mode. Parents come first: a folder made on the way would get the mode of its child.
_FOLDERS = {
    "/user": "755",
    "/market": "755",
    "/market/lib": "755",
    "/market/jobs": "755",
    STAGING: "1777",
    # Spark makes this one for whoever comes first, and then nobody else could write into it.
    f"{STAGING}/.sparkStaging": "1777",
    "/yarn-logs": "1777",
    "/spark-logs": "1777",
    "/tmp": "1777",  # noqa: S108 - a folder of HDFS
}


def before_start(settings: Settings) -> None:
    """Make the folders, the secrets and what databases and the NameNode start from."""
    paths = settings.paths
    for folder in (paths.conf, paths.data, paths.logs, paths.run, paths.state / "airflow"):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    paths.state.chmod(0o711)  # machines run jobs as another user, who must pass through to his own folder
    secrets.generate(paths)
    release.write(settings)


def prepare_stores(settings: Settings) -> None:
    """Initialise PostgreSQL's and the NameNode's folders where they are new."""
    postgres.initialise(settings.paths.data / "postgres", settings.secret("db_postgres"))
    name_folder = settings.paths.data / "namenode"
    if (name_folder / "current" / "VERSION").exists():
        return
    main = "org.apache.hadoop.hdfs.server.namenode.NameNode"
    command = [*java(128, main)(settings), "-format", "-nonInteractive", "-force"]
    _quietly(settings, command, "format-namenode", hadoop_environment(settings))


def migrate_market(settings: Settings) -> list[str]:
    """Make roles and database, and apply `sql/`; return the names of the files that were new or changed."""
    superuser = settings.database_url(postgres.SUPERUSER, "postgres")
    roles = (migrate.OWNER, migrate.APPLICATION, migrate.AIRFLOW)
    migrate.prepare(superuser, {role: settings.secret(f"db_{role}") for role in roles})
    return migrate.apply(settings.database_url(migrate.OWNER), migrate.read(settings.paths.root / "sql"))


def migrate_airflow(settings: Settings, service: Service) -> None:
    """Bring Airflow's database to this version, and make the market's roles and its administrator."""
    folder = settings.paths.airflow_env / "bin"
    variables = environment(settings, service)
    # A change of the schema takes as long as it takes: without the limits of the role.
    unlimited = variables | {"PGOPTIONS": Patience(0, 0, 0).options}
    _quietly(settings, [str(folder / "airflow"), "db", "migrate"], "migrate-airflow", unlimited)
    _quietly(
        settings, [str(folder / "python"), "-m", "market.airflow.bootstrap"], "bootstrap-accounts", variables
    )


def fill_hdfs(settings: Settings) -> None:
    """Make HDFS's folders and upload what jobs share, where it is missing or has changed."""
    files = hdfs()
    for folder, mode in _FOLDERS.items():
        if files.status(folder) is None:
            files.mkdirs(folder, permission=mode)
        files.set_permission(folder, mode)
    runner = settings.paths.root / "java" / "runner"
    runtime = settings.paths.runtime
    uploads = {
        PYSPARK_ARCHIVE: runtime / "pyspark.zip",
        JAVA_RUNNER: runtime / "market_program.jar",
        PYTHON_RUNNER: runner / "market_program.py",
    }
    for target, source in uploads.items():
        present = files.status(target)
        changed = int(source.stat().st_mtime * 1000)
        if present is None or present.size != source.stat().st_size or present.modified_ms < changed:
            files.create(f"{target}.new", _chunks(source), overwrite=True)
            files.set_permission(f"{target}.new", "644")
            files.delete(target)
            files.rename(f"{target}.new", target)


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk


def _quietly(settings: Settings, command: list[str], name: str, variables: dict[str, str]) -> None:
    """Run a step with its output in a log; say where on failure, with its last line."""
    log = settings.paths.logs / f"{name}.log"
    with log.open("wb") as out:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env=base_environment(settings) | variables,
        )
    if done.returncode:
        lines = log.read_text(errors="replace").strip().splitlines()
        raise SetupError(f"{name} failed ({lines[-1] if lines else 'no output'}): see {log}")
