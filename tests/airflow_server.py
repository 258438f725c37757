"""Airflow's api-server with the market's plugin, on a real PostgreSQL; HDFS is a stand-in."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import requests
import servers

from market.kit import settings
from market.ops.run import airflow, secrets

_DEADLINE_S = 180


@dataclass
class Airflow:
    """A running api-server."""

    url: str
    admin_password: str
    database: servers.Database
    homes: dict[str, dict[str, str]] = field(default_factory=dict)

    @property
    def market(self) -> str:
        """Where the market's routes are."""
        return f"{self.url}/market/api/v1"


@contextmanager
def airflow_server(folder: Path) -> Iterator[Airflow]:
    """Run an api-server with all its state in `folder`; stop it in the end."""
    with servers.database(folder) as database, _name_node() as (port, homes):
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
            command = [str(loaded.paths.airflow_env / "bin" / "airflow"), "api-server"]
            process = subprocess.Popen(
                command, env=environment, stdout=out, stderr=out, start_new_session=True
            )
            try:
                running = Airflow(loaded.url("api"), loaded.secret("admin_password"), database, homes)
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
    return loaded


def _environment(loaded: settings.Settings, database: servers.Database) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return {
        **kept,
        **airflow.environment(loaded),
        "MARKET_STATE_DIR": str(loaded.paths.state),
        "PYTHONWARNINGS": "ignore",
        "PATH": f"{Path(sys.executable).parent}:{kept.get('PATH', os.defpath)}",
    }


def _wait(running: Airflow, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + _DEADLINE_S
    while True:
        try:
            if requests.get(f"{running.market}/health", timeout=5).ok:
                return
        except requests.RequestException:
            pass
        if process.poll() is not None or time.monotonic() > until:
            raise RuntimeError(f"the api-server does not start:\n{log.read_text()[-8000:]}")
        time.sleep(0.2)


@contextmanager
def _name_node() -> Iterator[tuple[int, dict[str, dict[str, str]]]]:
    """Serve just enough of WebHDFS to make homes; yield the port and the homes with what was set on them."""
    homes: dict[str, dict[str, str]] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            parts = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            path = unquote(parts.path).removeprefix("/webhdfs/v1")
            homes.setdefault(path, {}).update(query)
            self._answer({"boolean": True})

        def do_GET(self) -> None:
            status = {"pathSuffix": "", "length": 0, "type": "DIRECTORY", "modificationTime": 1}
            self._answer({"FileStatus": status | {"permission": "755", "owner": "market"}})

        def _answer(self, body: object) -> None:
            sent = json.dumps(body).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port, homes
    finally:
        server.shutdown()
        server.server_close()
