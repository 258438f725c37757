"""The stack as a whole: up, down, status."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from fcntl import LOCK_EX, flock
from typing import Any

import requests

from distributedmarket.agent import cores, enclosure
from distributedmarket.agent.sandbox import weakness
from distributedmarket.client import exchange
from distributedmarket.errors import SetupError
from market.hadoop import site, spark
from market.kit.settings import Settings
from market.ops.run import bootstrap, containers, leftovers, ports, releases, running_release, started_with
from market.ops.run.services import AIRFLOW, API, DATABASE, HADOOP, HISTORY, STAGES, Service, all_services
from market.ops.run.supervisor import Supervisor

_DEADLINE_S = 240
_GIVEN_UP = ("FATAL", "EXITED")

Progress = Callable[[str], AbstractContextManager[None]]  # shows a step while it runs


@dataclass(frozen=True)
class Health:
    """One service, as `status` shows it."""

    name: str
    address: str
    healthy: bool
    detail: str


def up(settings: Settings, progress: Progress, say: Callable[[str], None]) -> bool:
    """Start what does not run and wait until all is healthy; tell whether anything had to start.

    Where nothing runs, services are started from this clone's release; else from the one that runs, and then
    this must be its own code (`releases.current`). It may be interrupted and called again at any point.
    Raises SetupError, naming the service and its log.
    """
    containers.refuse_inside("up --detach")
    bootstrap.before_start(settings)
    with exclusively(settings):
        supervisor = Supervisor(settings)
        if not supervisor.running():
            release = releases.make(settings.paths)
            releases.use(settings.paths.state, release)
            settings = release.settings(settings.paths.state)
            supervisor = Supervisor(settings)
            _launch(settings, supervisor, all_services(settings), say)
            releases.discard(settings.paths.state)
        elif all(health.healthy for health in status(settings)):
            return False
        services = all_services(settings)
        stages = {stage: [service for service in services if service.stage == stage] for stage in STAGES}
        airflow = stages[AIRFLOW][0]
        with progress("databases and name space"):
            bootstrap.prepare_stores(settings)
        _start(settings, supervisor, stages[DATABASE], progress)
        with ThreadPoolExecutor(1) as beside:  # Hadoop's servers wait for one another much of the time
            tables = beside.submit(_migrate, settings, airflow)
            _start(settings, supervisor, stages[HADOOP], progress)
            with progress("folders of HDFS"):
                bootstrap.fill_hdfs(settings)
            _start(settings, supervisor, stages[HISTORY], progress)
            with progress("tables of the market and of Airflow"):
                for name in tables.result():
                    say(f"applied sql/{name}")
        bootstrap.end_what_cannot_go_on(settings, say)
        with progress("accounts"):
            bootstrap.make_accounts(settings, airflow)
        _start(settings, supervisor, stages[API], progress)
        _start(settings, supervisor, stages[AIRFLOW], progress)
        return True


def _migrate(settings: Settings, airflow: Service) -> list[str]:
    applied = bootstrap.migrate_market(settings)
    bootstrap.migrate_airflow(settings, airflow)
    return applied


def _launch(
    settings: Settings, supervisor: Supervisor, services: list[Service], say: Callable[[str], None]
) -> None:
    stopped = leftovers.stop(settings.paths.state)
    if stopped:
        say(f"ended {stopped} processes that had outlived their supervisor")
    for name, (preferred, chosen) in ports.reserve(settings).items():
        say(f"port {preferred} ({name}) is taken; using {chosen}")
    site.write(settings)
    spark.write(settings)
    supervisor.forget_extras()
    releases.forget(settings.paths.state)
    started_with.note(settings)
    supervisor.launch(services)


def _start(settings: Settings, supervisor: Supervisor, services: list[Service], progress: Progress) -> None:
    for service in services:
        supervisor.start(service.name)
    for service in services:
        with progress(service.name):
            wait(settings, supervisor, service)


def wait(settings: Settings, supervisor: Supervisor, service: Service) -> None:
    """Wait until a service is well. Raises SetupError, naming it and its log, when it is not in time."""
    until = time.monotonic() + _DEADLINE_S
    while True:
        wrong = problem(settings, service)
        if not wrong:
            return
        state = supervisor.states()[service.name]["statename"]
        if state in _GIVEN_UP or time.monotonic() > until:
            log = settings.paths.logs / f"{service.name}.log"
            raise SetupError(
                f"{service.name} does not start ({wrong}); see ./market logs {service.name} ({log})"
            )
        time.sleep(0.2)


def problem(settings: Settings, service: Service) -> str:
    """Return what is wrong with a service, in words; empty when all is well."""
    try:
        return service.check(settings)
    except requests.RequestException as error:
        return exchange.why_silent(error)
    except Exception as error:  # whatever it is, the service does not answer as it should
        return " ".join(str(error).split()) or type(error).__name__


def status(settings: Settings) -> list[Health]:
    """Return the health of every service and every supervised machine."""
    supervisor = Supervisor(settings)
    states = supervisor.states() if supervisor.running() else {}

    def look(service: Service) -> Health:
        address = settings.address(service.port) if service.port else settings.bind
        if service.name == "pool":
            address = settings.pool.ip_address
        state = states.get(service.name, {}).get("statename", "not supervised")
        if state not in ("RUNNING", "STARTING") and not containers.inside():
            return Health(service.name, address, False, f"{state.lower()}: start it with ./market up")
        wrong = problem(settings, service)
        return Health(service.name, address, not wrong, wrong or _detail(settings, service, states))

    with ThreadPoolExecutor(max_workers=8) as threads:
        healths = list(threads.map(look, all_services(settings)))
    for name in supervisor.extras():
        state = states.get(name, {}).get("statename", "not supervised")
        left = state == "EXITED" and states[name]["exitstatus"] == 0
        detail = "has left" if left else state.lower()
        if state == "RUNNING":
            detail = "; ".join([detail, *_protection(settings, name)])
        healths.append(Health(name, "", left or state == "RUNNING", detail))
    return healths


def _detail(settings: Settings, service: Service, states: dict[str, dict[str, Any]]) -> str:
    parts = [f"pid {states[service.name]['pid']}"] if service.name in states else []
    try:
        note = service.note(settings)
    except OSError as error:  # it was well a moment ago
        note = str(error)
    parts += [note] if note else []
    return "; ".join(parts + (_protection(settings, "pool") if service.name == "pool" else []))


def _protection(settings: Settings, machine: str) -> list[str]:
    """Return what keeps a machine's containers together, and what keeps nothing from them."""
    kept = enclosure.told(settings.paths.state / "machines" / machine)
    return [part for part in (kept, weakness()) if part]


def as_json(settings: Settings) -> dict[str, object]:
    """Return what `./market status --json` prints."""
    return {
        "state_dir": str(settings.paths.state),
        "release": running_release.look(settings).as_json(),
        "url": settings.url("api"),
        "security": settings.security.mode,
        "services": [asdict(health) for health in status(settings)],
        "admin": {
            "username": settings.service.admin,
            "password_file": str(settings.paths.secrets / "admin_password"),
        },
    }


def down(settings: Settings, progress: Progress) -> None:
    """Stop everything, machines first, so that what runs on them ends while the market can see it."""
    containers.refuse_inside("down")
    if not settings.paths.run.exists():
        return
    with exclusively(settings):
        supervisor = Supervisor(settings)
        if supervisor.running():
            for name in supervisor.extras():
                with progress(name):
                    supervisor.stop_at_once(name)
            with progress("services"):
                supervisor.shutdown()
        supervisor.forget_extras()
        started_with.forget(settings)
        releases.forget(settings.paths.state)
        leftovers.stop(settings.paths.state)
        for machine in (settings.paths.state / "machines").glob("*"):  # of agents that were killed
            cores.forget(machine)


@contextmanager
def exclusively(settings: Settings) -> Iterator[None]:
    """One `up`, `down` or `upgrade` at a time."""
    with (settings.paths.run / "lifecycle.lock").open("w") as lock:
        flock(lock, LOCK_EX)
        yield
