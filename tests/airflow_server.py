"""Airflow's api-server with the market's plugin, on a real PostgreSQL; HDFS is a stand-in."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests
import servers
from name_node import NameNode, name_node

from market.kit import settings, tls
from market.ops.run import airflow, certificate, secrets

_DEADLINE_S = 180


@dataclass
class Airflow:
    """A running api-server."""

    url: str
    admin_password: str
    jwt_secret: str
    database: servers.Database
    hdfs: NameNode
    settings: settings.Settings

    @property
    def market(self) -> str:
        """Where the market's routes are."""
        return f"{self.url}/market/api/v1"


@contextmanager
def airflow_server(folder: Path) -> Iterator[Airflow]:
    """Run an api-server with all its state in `folder`; stop it in the end."""
    with servers.database(folder) as database, name_node() as (port, hdfs):
        database.migrate()
        loaded = _settings(folder / "state", database, {"namenode_http": port})
        environment = _environment(loaded, database)
        log = folder / "airflow.log"
        with log.open("wb") as out:
            for step in (["airflow", "db", "migrate"], ["python", "-m", "market.airflow.bootstrap"]):
                program = str(loaded.paths.airflow_env / "bin" / step[0])
                done = subprocess.run([program, *step[1:]], env=environment, stdout=out, stderr=out)
                if done.returncode:
                    raise RuntimeError(f"{step} failed:\n{log.read_text()[-5000:]}")
            command = [str(loaded.paths.airflow_env / "bin" / "python"), "-m", "market.airflow.api_server"]
            process = subprocess.Popen(
                command, env=environment, stdout=out, stderr=out, start_new_session=True
            )
            try:
                running = Airflow(
                    loaded.url("api"),
                    loaded.secret("admin_password"),
                    loaded.secret("jwt_secret"),
                    database,
                    hdfs,
                    loaded,
                )
                _wait(running, process, log)
                yield running
            finally:
                process.terminate()
                process.wait(30)


def _settings(state: Path, database: servers.Database, ports: dict[str, int]) -> settings.Settings:
    (state / "run").mkdir(parents=True)
    (state / "secrets").mkdir(mode=0o700)
    taken = {"api": servers.free_port(), "postgres": database.port, **ports}
    taken["resourcemanager_http"] = servers.free_port()
    (state / "run" / "ports.json").write_text(json.dumps(taken))
    for role, password in database.passwords.items():
        secrets.write(state / "secrets" / f"db_{role}", password)
    loaded = settings.load(state)
    secrets.generate(loaded.paths)
    certificate.prepare(loaded)
    return loaded


def _environment(loaded: settings.Settings, database: servers.Database) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return {
        **kept,
        **airflow.environment(loaded),
        "MARKET_STATE_DIR": str(loaded.paths.state),
        **{name: os.environ[name] for name in ("MARKET_CONFIG",) if name in os.environ},
        "PYTHONWARNINGS": "ignore",
        "PATH": f"{Path(sys.executable).parent}:{kept.get('PATH', os.defpath)}",
    }


def _wait(running: Airflow, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + _DEADLINE_S
    while True:
        try:
            with tls.session(running.settings) as session:
                if session.get(f"{running.market}/health", timeout=30).ok:
                    return
        except requests.RequestException:
            pass
        if process.poll() is not None or time.monotonic() > until:
            raise RuntimeError(f"the api-server does not start:\n{log.read_text()[-8000:]}")
        time.sleep(0.2)
