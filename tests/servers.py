"""Real servers for tests, started on free ports and stopped by their process id."""

from __future__ import annotations

import secrets
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psycopg2

from market.kit import settings
from market.ops.database import migrate, postgres


def free_port(host: str = "127.0.0.1") -> int:
    """Return a port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return probe.getsockname()[1]


Answer = tuple[int, Mapping[str, str], bytes]  # status, headers, body


@dataclass(frozen=True)
class Received:
    """A request as it came; the path has its query."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@contextmanager
def answering(answer: Callable[[str, Mapping[str, str]], Answer]) -> Iterator[int]:
    """Answer GET on a free port, which is yielded; `answer` gets the path and the headers."""
    with serving(lambda request: answer(request.path, request.headers)) as port:
        yield port


@contextmanager
def serving(answer: Callable[[Received], Answer | None], port: int = 0) -> Iterator[int]:
    """Answer all methods on a port, which is yielded; where `answer` returns None the line is cut."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            answered = answer(Received(self.command, self.path, self.headers, self._body()))
            if answered is None:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            status, headers, body = answered
            self.send_response(status)
            for name, value in ({"Content-Length": str(len(body))} | dict(headers)).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)
            if int(dict(headers).get("Content-Length", 0)) > len(body):  # announced and not sent: cut
                self.close_connection = True

        do_POST = do_PUT = do_DELETE = do_HEAD = do_GET  # noqa: N815

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding") == "chunked":
                whole = b""
                while size := int(self.rfile.readline(), 16):
                    whole += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
                return whole
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


@dataclass
class _Process:
    """A program that can be started more than once."""

    command: list[str]
    log: Path
    popen: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.popen = subprocess.Popen(self.command, stdout=log, stderr=subprocess.STDOUT)

    def ended(self) -> bool:
        return self.popen is None or self.popen.poll() is not None

    def stop(self, sent: signal.Signals) -> None:
        if self.popen:
            self.popen.send_signal(sent)
            self.popen.wait(30)


@dataclass(frozen=True)
class Database:
    """A running PostgreSQL server with the market's roles and an empty database."""

    port: int
    passwords: dict[str, str]
    _process: _Process

    def restart(self, sent: signal.Signals) -> None:
        """Stop the server by a signal (SIGINT: in order, SIGQUIT: at once) and start it again."""
        self._process.stop(sent)
        self._process.start()
        _wait(self.url(postgres.SUPERUSER, "postgres"), self._process, time.monotonic() + 60)

    def url(self, role: str, database: str = migrate.DATABASE) -> str:
        """Return the address for a role."""
        return f"postgresql://{role}:{self.passwords[role]}@127.0.0.1:{self.port}/{database}"

    def migrate(self) -> list[str]:
        """Apply all of `sql/`; return the names of the files that were new or had changed."""
        return migrate.apply(self.url(migrate.OWNER), migrate.read(settings.ROOT / "sql"))


@contextmanager
def database(
    folder: Path, deadline_s: float = 60, passwords: dict[str, str] | None = None
) -> Iterator[Database]:
    """Run a server with its data in `folder`; stop it in the end. Data that are there have `passwords`."""
    roles = (postgres.SUPERUSER, migrate.OWNER, migrate.APPLICATION, migrate.AIRFLOW)
    port = free_port()
    process = _Process(
        postgres.server_command(folder / "postgres", "127.0.0.1", port), folder / "postgres.log"
    )
    served = Database(port, passwords or {role: secrets.token_hex(16) for role in roles}, process)
    postgres.initialise(folder / "postgres", served.passwords[postgres.SUPERUSER])
    process.start()
    try:
        _wait(served.url(postgres.SUPERUSER, "postgres"), process, time.monotonic() + deadline_s)
        others = {role: word for role, word in served.passwords.items() if role != postgres.SUPERUSER}
        migrate.prepare(served.url(postgres.SUPERUSER, "postgres"), others)
        yield served
    finally:
        process.stop(signal.SIGINT)  # "fast" shutdown: does not wait for clients


def _wait(url: str, process: _Process, until: float) -> None:
    while True:
        try:
            psycopg2.connect(url).close()
            return
        except psycopg2.OperationalError:
            if process.ended() or time.monotonic() > until:
                raise
            time.sleep(0.05)
