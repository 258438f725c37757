"""`./market up | down | restart | logs | reset`: the stack from the terminal."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg2
from rich.console import Console

from distributedmarket.errors import SetupError
from market.kit import database
from market.kit.errors import UnavailableError
from market.kit.settings import Settings
from market.ops.cli import own_market
from market.ops.python_path import python_path
from market.ops.run import containers, lifecycle, releases, running_release
from market.ops.run.services import all_services
from market.ops.run.supervisor import Supervisor

console = Console(stderr=True, highlight=False, soft_wrap=True)


@contextmanager
def progress(title: str) -> Iterator[None]:
    """Show a step while it runs: a moving line in a terminal, one line at its end elsewhere."""
    started = time.monotonic()
    if console.is_terminal:
        with console.status(f"{title} ..."):
            yield
    else:
        yield
    console.print(f"  [green]ok[/] {title} [dim]{time.monotonic() - started:.1f} s[/]")


def up(settings: Settings, chosen: argparse.Namespace) -> int:
    """Start the stack and say where it is; what runs already is kept up by the release that it runs from."""
    kept = _kept_up_elsewhere(settings)
    code = bring_up(settings)
    if not kept:  # else that release has said where it is
        where(settings)
    return code


def bring_up(settings: Settings) -> int:
    """Do so without saying where it is; return the exit code."""
    code = 0
    if _kept_up_elsewhere(settings):
        code = _by_the_running_release(settings, "up")
    else:
        lifecycle.up(settings, progress, console.print)
    running = running_release.look(settings)
    if running.differs:
        console.print(f"[yellow]release[/] {running.told}")
    return code


def _kept_up_elsewhere(settings: Settings) -> bool:
    return Supervisor(settings).running() and running_release.look(settings).elsewhere


def _by_the_running_release(settings: Settings, *words: str) -> int:
    """Run a command with the code that the services run from; return its exit code.

    This clone's would apply its own tables and settings to them. Raises SetupError where they run from no
    release.
    """
    release = releases.current(settings.paths.state)
    if release is None:
        raise SetupError(
            "what runs was started from the clone's own files, by an earlier release: stop it with"
            " ./market down, and start this one with ./market up"
        )
    words = (str(release.python), "-m", "market.ops.cli", *words)
    variables = {
        **os.environ,
        "PYTHONPATH": python_path(release.folder),
        "MARKET_STATE_DIR": str(settings.paths.state),
    }
    return subprocess.run(words, env=variables).returncode


def where(settings: Settings) -> None:
    """Print where to look."""
    password = settings.paths.secrets / "admin_password"
    console.print(
        f"The market is at {settings.url('api')} (user {settings.service.admin}, password in {password})"
    )
    if settings.tls:
        console.print(f"Its key's fingerprint, for lenders and clients: --pin {own_market.pin(settings)}")


def down(settings: Settings, chosen: argparse.Namespace) -> int:
    """Stop the stack; while jobs run, name them and ask first, unless --force is given."""
    running = _running_jobs(settings)
    if running and not chosen.force:
        console.print(f"{len(running)} jobs have not ended: {', '.join(running[:10])}")
        console.print("They are stopped with the machines; after ./market up they come to a true end.")
        if not confirmed("Stop the stack all the same?"):
            return 1
    lifecycle.down(settings, progress)
    console.print("The stack is down; its data stays.")
    return 0


def _running_jobs(settings: Settings) -> list[str]:
    if not Supervisor(settings).running():
        return []
    try:
        with database.transaction() as cursor:
            cursor.execute("SELECT job_name, job_id FROM job WHERE ended_ms IS NULL ORDER BY added_ms")
            return [f"{row.job_name} ({row.job_id})" for row in cursor.fetchall()]
    except (psycopg2.Error, UnavailableError):
        return []  # the database is not up, so no job is known


def restart(settings: Settings, chosen: argparse.Namespace) -> int:
    """Restart one service."""
    containers.refuse_inside(f"restart {chosen.service}")
    name = _service(settings, chosen.service)
    supervisor = Supervisor(settings)
    if not supervisor.running():
        raise SetupError("the stack is down: start it with ./market up")
    if _kept_up_elsewhere(settings):
        return _by_the_running_release(settings, "restart", name)
    with progress(f"{name} stopped"):
        supervisor.stop(name)
    supervisor.replace(name)  # as the configuration says now: an upgrade may have left it to this
    lifecycle.up(settings, progress, console.print)
    return 0


def logs(settings: Settings, chosen: argparse.Namespace) -> int:
    """Show a service's log, with -f as it grows."""
    containers.refuse_inside(f"logs {chosen.service}")
    name = _service(settings, chosen.service)
    path = settings.paths.logs / f"{name}.log"
    if not path.exists():
        raise SetupError(f"{name} has written no log yet")
    arguments = ["tail", "-n", "200", *(["-F"] if chosen.follow else []), str(path)]
    try:
        return subprocess.run(arguments).returncode
    except KeyboardInterrupt:
        return 0


def _service(settings: Settings, name: str) -> str:
    names = [service.name for service in all_services(settings)] + Supervisor(settings).extras()
    if name not in names:
        raise SetupError(f"no service is called {name}; there are: {', '.join(names)}")
    return name


def reset(settings: Settings, chosen: argparse.Namespace) -> int:
    """Stop the stack and delete all its data: accounts, jobs, files, credits. Installs stay."""
    containers.refuse_inside("down --volumes")
    console.print(f"This deletes all accounts, jobs, files and credits in {settings.paths.state}.")
    if not chosen.yes and not confirmed("Delete them?"):
        return 1
    lifecycle.down(settings, progress)
    for name in ("airflow", "conf", "data", "kdc", "logs", "machines", "releases", "run", "seals", "secrets"):
        shutil.rmtree(settings.paths.state / name, ignore_errors=True)
    console.print("Deleted; ./market up starts anew.")
    return 0


def confirmed(question: str) -> bool:
    """Ask in the terminal; tell whether the answer is yes. Raises SetupError where there is no terminal."""
    if not sys.stdin.isatty():
        raise SetupError("this asks before it goes on, and there is no terminal to ask: see its --help")
    return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")
