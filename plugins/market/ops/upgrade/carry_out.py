"""An upgrade: the next release beside the one that runs, and service by service in its place.

What can be refused is refused before anything changes. Tables come first, and only grow (`expand`), so that
the services of both releases work with them. A service that does not come up takes the market back to the
release before.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from contextlib import AbstractContextManager

from distributedmarket.errors import SetupError
from market.hadoop import site, spark
from market.kit.settings import Settings
from market.ops.backup.take import take
from market.ops.python_path import python_path
from market.ops.run import bootstrap, lifecycle, releases, started_with
from market.ops.run.fingerprint import POOL
from market.ops.run.releases import Release
from market.ops.run.services import Service, all_services
from market.ops.run.supervisor import Supervisor
from market.ops.upgrade import plan
from market.ops.upgrade.plan import Plan

Progress = Callable[[str], AbstractContextManager[None]]
Say = Callable[[str], None]


class NotReplacedError(SetupError):
    """A service of the new release is not well; the message says why, and what runs now."""


def switch(settings: Settings, progress: Progress, say: Say, backup: bool = True) -> Plan:
    """Bring the market that runs to the release that this code is; return what was done.

    It may be interrupted and called again at any point. Raises SetupError before anything has changed, where
    it says why it cannot be, and NotReplacedError when a service did not come up, with the release before
    back in its place.
    """
    paths = settings.paths
    release = Release(paths.root)
    with lifecycle.exclusively(settings):
        done = plan.look(settings)
        if done.nothing:
            return done
        if words := _refusal(settings, done):
            raise SetupError(f"nothing was changed: {words}")
        before = releases.find(paths.state, done.before)
        if backup and done.before != done.release:
            take(settings, settings.backup_folder, progress, say)
        _prepare(settings, done, progress, say)
        releases.use(paths.state, release)
        try:
            _replace(settings, done, progress, say)
        except SetupError as error:
            failed = error
        else:
            started_with.note(settings)
            bootstrap.before_start(settings)  # tells machines of their release, now that all is there
            for name in releases.discard(paths.state):
                say(f"deleted release {name}: neither this one nor the one before it")
            return done
    if before == release:  # an upgrade that had been interrupted
        raise failed
    say(f"{failed}: back to {before.name}")
    code = run(before, settings, "--no-backup")
    back = (
        f"the market runs from {before.name} again" if code == 0 else f"see ./market status; {_hint(before)}"
    )
    raise NotReplacedError(f"release {release.name} was not taken: {failed}; {back}")


def _hint(release: Release) -> str:
    return f"go back by hand with ./market upgrade --to {release.name}"


def run(release: Release, settings: Settings, *words: str) -> int:
    """Run an upgrade to a release with its own code: only that knows how its services are started."""
    variables = {
        **os.environ,
        "PYTHONPATH": python_path(release.folder),
        "MARKET_STATE_DIR": str(settings.paths.state),
    }
    return subprocess.run(
        [str(release.python), "-m", "market.ops.cli", "upgrade", *words], env=variables
    ).returncode


def _refusal(settings: Settings, done: Plan) -> str:
    older, newer = done.airflow
    if _number(newer) < _number(older):
        return (
            f"Airflow's database was brought to version {older}, which this release's {newer} cannot read:"
            " restore a backup from before the upgrade (./market restore)"
        )
    return done.refusal()


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdecimal())


def _prepare(settings: Settings, done: Plan, progress: Progress, say: Say) -> None:
    """Do what both releases can live with: tables, configuration, what lies in HDFS, roles."""
    airflow = next(service for service in all_services(settings) if service.name == "scheduler")
    with progress("tables of the market"):
        for name in bootstrap.migrate_market(settings):
            say(f"applied sql/{name}")
    if done.airflow[0] != done.airflow[1]:
        with progress("tables of Airflow"):
            bootstrap.migrate_airflow(settings, airflow)
    with progress("configuration, folders of HDFS, accounts"):
        site.write(settings)
        spark.write(settings)
        bootstrap.fill_hdfs(settings)
        bootstrap.make_accounts(settings, airflow)


def _replace(settings: Settings, done: Plan, progress: Progress, say: Say) -> None:
    services = all_services(settings)
    supervisor = Supervisor(settings)
    supervisor.configure(services)
    for name in done.gone:
        supervisor.remove(name)
        say(f"stopped {name}, which this release does not have")
    for service in services:
        if service.name not in done.restarts:
            releases.agree(settings.paths, service.name)
        elif service.name == POOL and done.pool_waits:
            say(f"{POOL} runs drivers of jobs, and stays: ./market upgrade again when they have ended")
        else:
            _one(settings, supervisor, service, progress)


def _one(settings: Settings, supervisor: Supervisor, service: Service, progress: Progress) -> None:
    with progress(service.name):
        supervisor.replace(service.name)
        lifecycle.wait(settings, supervisor, service)
