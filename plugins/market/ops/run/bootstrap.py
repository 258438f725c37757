"""What the services find when they start: databases, HDFS's folders, the files that jobs share."""

from __future__ import annotations

import filecmp
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import psycopg2

from distributedmarket.errors import SetupError
from market.cluster.clients import hdfs
from market.hadoop import site
from market.hadoop.paths import (
    CONTAINER_LOGS,
    ENVIRONMENTS,
    EVENT_LOGS,
    JAVA_RUNNER,
    PYSPARK_ARCHIVE,
    PYTHON_RUNNER,
    SCRATCH,
    STAGING,
    container_logs,
)
from market.jobs.life import change_of_mode
from market.kit.patience import Patience
from market.kit.settings import SIMPLE, Security, Settings
from market.machines import canary
from market.ops.database import migrate, postgres
from market.ops.database.migrate import File
from market.ops.run import certificate, kdc, release, releases, secrets, submitter
from market.ops.run.services import Service, base_environment, environment, hadoop_environment, java
from market.people import homes

_CHUNK = 1 << 20
_ENVIRONMENT_NAMES = 20_000  # files of environments, two for each
# Folder of HDFS -> mode. Parents come first: a folder made on the way would get the mode of its child.
_FOLDERS = {
    "/user": "755",
    "/market": "755",
    "/market/lib": "755",
    "/market/jobs": "755",
    ENVIRONMENTS: "755",
    STAGING: "755",
    # Each person has a folder there (people/homes.py): nobody writes where others' logs are to go.
    CONTAINER_LOGS: "755",
    EVENT_LOGS: "755",
    SCRATCH: "1777",
}
# Who submits for the market itself -> his folder of staging.
_OWN_USERS = (canary.ACCOUNT, submitter.REHEARSAL_USER)
_MIB = 1 << 20


def before_start(settings: Settings) -> None:
    """Make the folders, the secrets and what databases and the NameNode start from."""
    paths = settings.paths
    for folder in (paths.conf, paths.data, paths.logs, paths.run, paths.state / "airflow"):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    paths.state.chmod(0o711)  # machines run jobs as another user, who must pass through to his own folder
    secrets.generate(paths)
    secrets.publish(paths)
    certificate.prepare(settings)
    release.write(settings)


def prepare_stores(settings: Settings) -> None:
    """Initialise the realm's database, PostgreSQL's and the NameNode's folders where they are new."""
    if settings.kerberos:
        kdc.prepare(settings)
    postgres.initialise(settings.paths.data / "postgres", settings.secret("db_postgres"))
    name_folder = settings.paths.data / "namenode"
    if (name_folder / "current" / "VERSION").exists():
        return
    main = "org.apache.hadoop.hdfs.server.namenode.NameNode"
    # Nobody can log in before the realm is served, nor need this step: it writes files of this host only.
    simple = replace(settings, security=Security(mode=SIMPLE))
    files = site.write_files(settings.paths.conf / "format", simple)
    command = [*java(128, main, conf=files)(settings), "-format", "-nonInteractive", "-force"]
    _quietly(settings, command, "format-namenode", hadoop_environment(settings))


def migrate_market(settings: Settings) -> list[str]:
    """Make roles and database, and apply `sql/`; return the names of the files that were new or changed.

    Tables that a later release of this stack has added stay as they are (`migrate.apply`).

    Raises SetupError when open jobs want a type of machines that the settings have no more.
    """
    superuser = settings.database_url(postgres.SUPERUSER, "postgres")
    roles = (migrate.OWNER, migrate.APPLICATION, migrate.AIRFLOW)
    migrate.prepare(superuser, {role: settings.secret(f"db_{role}") for role in roles})
    sources = migrate.read(settings.paths.root / "sql")
    applied = migrate.apply(settings.database_url(migrate.OWNER), sources, later_files(settings))
    _keep_types(settings)
    return applied


def later_files(settings: Settings) -> list[File]:
    """Return the files of the schema that other releases here have: a later one may have applied them."""
    own = {path.name for path in (settings.paths.root / "sql" / "schema").glob("*.sql")}
    found: dict[str, File] = {}
    for one in releases.every(settings.paths.state):
        for path in (one.folder / "sql" / "schema").glob("*.sql"):
            if path.name not in own:
                found.setdefault(path.name, File(f"schema/{path.name}", path.read_text()))
    return list(found.values())


def _keep_types(settings: Settings) -> None:
    database = psycopg2.connect(settings.database_url(migrate.APPLICATION))
    with closing(database), database.cursor() as cursor:
        cursor.execute(
            "SELECT machine_type, count(*) FROM market.job"
            " WHERE ended_ms IS NULL AND machine_type <> ALL (%s) GROUP BY 1 ORDER BY 1",
            [list(settings.types)],
        )
        wanted = cursor.fetchall()
    if wanted:
        told = ", ".join(f"{name} ({count})" for name, count in wanted)
        raise SetupError(
            f"open jobs want types of machines that the settings lack: {told}."
            f" Put [types.{wanted[0][0]}] back, start, and cancel the jobs or let them end first"
        )


def end_what_cannot_go_on(settings: Settings, say: Callable[[str], None]) -> None:
    """After a change of [security] ask for the end of what YARN took before; before a machine works."""
    if ended := change_of_mode.end_of_others(settings.protection):
        say(f"taken by YARN before [security] changed, so ended and paid back: {ended} runs")


def migrate_airflow(settings: Settings, service: Service) -> None:
    """Bring Airflow's database to this version."""
    # A change of the schema takes as long as it takes: without the limits of the role.
    unlimited = environment(settings, service) | {"PGOPTIONS": Patience(0, 0, 0).options}
    airflow = settings.paths.airflow_env / "bin" / "airflow"
    _quietly(settings, [str(airflow), "db", "migrate"], "migrate-airflow", unlimited)


def make_accounts(settings: Settings, service: Service) -> None:
    """Make the market's roles and its administrator, whose home is in HDFS."""
    python = settings.paths.airflow_env / "bin" / "python"
    command = [str(python), "-m", "market.airflow.bootstrap"]
    _quietly(settings, command, "bootstrap-accounts", environment(settings, service))


def fill_hdfs(settings: Settings) -> None:
    """Make HDFS's folders with their quotas; upload what jobs share, where it is missing or has changed."""
    files = hdfs()
    for folder, mode in _FOLDERS.items():
        if files.status(folder) is None:
            files.mkdirs(folder, permission=mode)
        files.set_permission(folder, mode)
    for user in _OWN_USERS:
        for folder in (f"{STAGING}/{user}", container_logs(user)):
            files.mkdirs(folder, permission="770")
            files.set_owner(folder, user, user)
    limits = settings.files
    for folder in (EVENT_LOGS, SCRATCH, STAGING):
        files.set_quota(folder, limits.shared_quota_names, limits.shared_quota_mib * _MIB)
    homes.renew()
    files.set_quota(ENVIRONMENTS, _ENVIRONMENT_NAMES, settings.jobs.environments_mib * _MIB)
    sources = shared(settings)
    for target in stale_shared(settings):
        files.create(f"{target}.new", _chunks(sources[target]), overwrite=True)
        files.set_permission(f"{target}.new", "644")
        files.delete(target)
        files.rename(f"{target}.new", target)


def stale_shared(settings: Settings) -> list[str]:
    """Return the files in HDFS that jobs share which are missing, or not those of this release."""
    files = hdfs()
    current = releases.current(settings.paths.state)
    before = shared(current.settings(settings.paths.state)) if current else {}
    stale = []
    for target, source in shared(settings).items():
        if not source.exists():  # a clone that was not set up yet
            stale.append(target)
            continue
        present, here = files.status(target), source.stat()
        if present is not None and present.size == here.st_size:
            newer = present.modified_ms < int(here.st_mtime * 1000)
            if not newer or _same(source, before.get(target)):  # a clone's files are as new as the clone
                continue
        stale.append(target)
    return stale


def _same(file: Path, other: Path | None) -> bool:
    return other is not None and other.exists() and filecmp.cmp(file, other, shallow=False)


def shared(settings: Settings) -> dict[str, Path]:
    """Return what jobs share: the file in HDFS -> the file here."""
    paths = settings.paths
    made = next(folder for folder in (paths.installs / "shared", paths.runtime) if folder.exists())
    return {
        PYSPARK_ARCHIVE: made / "pyspark.zip",
        JAVA_RUNNER: made / "market_program.jar",
        PYTHON_RUNNER: paths.root / "java" / "runner" / "market_program.py",
    }


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
