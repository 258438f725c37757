"""What an upgrade would do to the market that runs, found out without doing any of it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2
from requests import RequestException

from distributedmarket.errors import SetupError
from distributedmarket.runtime import release as machines
from market.kit import database, settings_files
from market.kit.errors import MarketError
from market.kit.settings import Paths, Settings
from market.ops.database import migrate
from market.ops.database.migrate import Outlook
from market.ops.run import bootstrap, fingerprint, releases, started_with
from market.ops.run.fingerprint import POOL
from market.ops.run.releases import Note
from market.ops.run.services import Service, all_services
from market.ops.run.supervisor import Supervisor

_AIRFLOW = re.compile(r"apache_airflow_core-(.+)\.dist-info")
_AT_YARN = "SELECT count(*) AS number FROM run WHERE application_id IS NOT NULL AND ended_ms IS NULL"


@dataclass(frozen=True)
class Plan:
    """What is to be done, and what bears on it.

    `restarts` are the services to start anew, in this order; `stays` those of which nothing has changed;
    `gone` those that the release does not have. `settings` are lines of what differs from what the running
    services were started with.
    """

    before: str
    release: str
    tables: Outlook
    restarts: Sequence[str]
    stays: Sequence[str]
    gone: Sequence[str]
    settings: Sequence[str]
    airflow: tuple[str, str]  # its version before, and in this release
    stale_shared: Sequence[str]
    at_yarn: int
    machines_differ: bool

    @property
    def nothing(self) -> bool:
        """Tell whether the market is what the release would make of it."""
        tables = self.tables.schema or self.tables.code
        return not (tables or self.restarts or self.gone or self.stale_shared or self.before != self.release)

    @property
    def pool_waits(self) -> bool:
        """Tell whether the pool's machine has to stay as it is, because drivers of jobs run on it."""
        return POOL in self.restarts and self.at_yarn > 0

    def refusal(self) -> str:
        """Return why it cannot be done now, in words; "" where it can."""
        if self.stale_shared and self.at_yarn:
            files = ", ".join(Path(name).name for name in self.stale_shared)
            return (
                f"what all jobs start from has changed ({files}), and {self.at_yarn} runs are at YARN, whose"
                " later containers would not find what they were submitted with: let them end, then upgrade"
            )
        return ""

    def lines(self) -> Iterator[tuple[str, str]]:
        """Yield what it comes to, as names with words."""
        yield "release", f"{self.before or 'none'} -> {self.release}"
        kinds = {True: "contract: no way back after it", False: "expand"}
        for file in self.tables.schema:
            yield "tables", f"sql/{file.name} ({kinds[file.contracts]})"
        if self.tables.later:
            yield "", f"of a later release, which stay: {', '.join(self.tables.later)}"
        if self.tables.code:
            count = len(self.tables.code)
            yield "functions", f"{count} of the files of sql/ new or changed: all are made anew"
        if self.airflow[0] != self.airflow[1]:
            yield "Airflow", f"{self.airflow[0]} -> {self.airflow[1]}; its database has no way back"
        for line in self.settings:
            yield "settings", line
        if self.machines_differ:
            yield "machines", "the release of machines differs: lent ones drain, and their owners update"
        yield "restarts", ", ".join(self.restarts) or "none"
        if self.pool_waits:
            yield "", f"{POOL} stays, since drivers run on it: ./market upgrade again when they have ended"
        yield "stop", ", ".join(self.gone)
        yield "run on", ", ".join(self.stays)


def look(settings: Settings) -> Plan:
    """Return what a release, or a clone, would do to the market that runs.

    `settings` are those of the stack with this code's root. Raises SetupError, where nothing runs, where what
    runs was started from no release, and where the tables of the database do not fit.
    """
    paths = settings.paths
    supervisor = Supervisor(settings)
    if not supervisor.running():
        raise SetupError("nothing runs, so there is nothing to upgrade: ./market up starts this release")
    current = releases.current(paths.state)
    noted = releases.of_services(paths.state)
    if current is None or not noted:
        raise SetupError(
            "what runs was started from the clone's own files, by an earlier release, and cannot be replaced"
            " part by part: ./market down, then ./market up, this once"
        )
    services = all_services(settings)
    restarts = [one.name for one in services if _differs(settings, one, noted)]
    supervised = set(supervisor.states()) - set(supervisor.extras())
    try:
        tables = migrate.look(
            settings.database_url(migrate.OWNER),
            migrate.read(paths.root / "sql"),
            bootstrap.later_files(settings),
        )
        stale = bootstrap.stale_shared(settings)
        at_yarn = _at_yarn()
    except (psycopg2.OperationalError, MarketError, RequestException) as error:
        words = " ".join(str(error).split())
        raise SetupError(f"the market is not well ({words}): see ./market status, and ./market up") from None
    return Plan(
        before=current.name,
        release=releases.name_of(paths.root),
        tables=tables,
        restarts=restarts,
        stays=[one.name for one in services if one.name not in restarts],
        gone=sorted(supervised - {one.name for one in services}),
        settings=list(changed_settings(paths, started_with.settings_then(settings) or {})),
        airflow=(airflow_of(current.settings(paths.state).paths), airflow_of(paths)),
        stale_shared=stale,
        at_yarn=at_yarn,
        machines_differ=_machines_differ(paths),
    )


def _differs(settings: Settings, service: Service, noted: Mapping[str, Note]) -> bool:
    return service.name not in noted or noted[service.name].fingerprint != fingerprint.of(settings, service)


def _at_yarn() -> int:
    with database.transaction() as cursor:
        cursor.execute(_AT_YARN)
        return int(cursor.fetchone().number)


def airflow_of(paths: Paths) -> str:
    """Return the version of Airflow in an environment; "" where there is none."""
    folders = (
        path.name for path in paths.airflow_env.glob("lib/python3*/site-packages/apache_airflow_core-*")
    )
    return next((match[1] for name in folders if (match := _AIRFLOW.fullmatch(name))), "")


def changed_settings(paths: Paths, then: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line for each setting that differs from what the services were started with."""
    files = settings_files.read(paths.root, paths.state)
    before = {
        (section, key): value
        for section, key, value, _ in settings_files.Files(
            files.shipped_path, files.own_path, then, {}
        ).lines()
    }
    now = {(section, key): value for section, key, value, _ in files.lines()}
    for section, key in sorted(before.keys() | now.keys()):
        was, is_now = before.get((section, key)), now.get((section, key))
        if was != is_now:
            yield f"[{section}] {key} = {_told(is_now)} (was {_told(was)})"


def _told(value: Any) -> str:
    return "not there" if value is None else json.dumps(value, ensure_ascii=False)


def _machines_differ(paths: Paths) -> bool:
    """Tell whether machines would need another runtime than the one that the market has told them of."""
    try:
        known = json.loads((paths.run / "release.json").read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return True
    return bool(known.get("runtime") != machines.digest())
