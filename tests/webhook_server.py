"""A receiver of webhooks on loopback: keeps what arrives, checks signatures, and answers as a test says."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Message:
    """A request as it arrived."""

    path: str
    headers: dict[str, str]
    raw: bytes
    at: float

    @property
    def body(self) -> Any:
        return json.loads(self.raw)

    def is_signed_with(self, secret: str) -> bool:
        """Check as standardwebhooks.com says, without the market's code."""
        key = base64.b64decode(secret.removeprefix("whsec_"))
        signed = f"{self.headers['webhook-id']}.{self.headers['webhook-timestamp']}.".encode() + self.raw
        digest = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        return f"v1,{digest}" in self.headers["webhook-signature"].split()


@dataclass
class Receiver:
    """`answer` makes the status; `location` sends elsewhere; `drips` answers without end; `body` has MiB."""

    url: str = ""
    port: int = 0
    messages: list[Message] = field(default_factory=list)
    status: int = 200
    location: str = ""
    drips: bool = False
    waits_s: float = 0.0
    body_mib: int = 0
    arrived: threading.Condition = field(default_factory=threading.Condition)

    def wait_for(self, count: int, within_s: float = 20) -> list[Message]:
        """Return the messages when there are so many."""
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.messages) >= count, within_s), len(self.messages)
            return list(self.messages)


@contextmanager
def receiver(tls: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    """Serve on a port of 127.0.0.1."""
    made = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            raw = self.rfile.read(length)
            if len(raw) < length:  # whoever sent it was killed: no message
                self.close_connection = True
                return
            headers = {name.lower(): value for name, value in self.headers.items()}
            with made.arrived:
                made.messages.append(Message(self.path, headers, raw, time.time()))
                made.arrived.notify_all()
            time.sleep(made.waits_s)
            while made.drips:
                self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                time.sleep(0.1)
            self.send_response(made.status)
            if made.location:
                self.send_header("Location", made.location)
            self.send_header("Content-Length", str(made.body_mib << 20))
            self.end_headers()
            for _ in range(made.body_mib):
                self.wfile.write(b"x" * (1 << 20))

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

        def handle_error(self, *_: object) -> None:
            pass  # who asked has gone

    server = Server(("127.0.0.1", 0), Handler)
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    made.port = server.server_address[1]
    made.url = f"http{'s' if tls else ''}://127.0.0.1:{made.port}/hook"
    thread = threading.Thread(target=server.serve_forever, args=[0.05], daemon=True)
    thread.start()
    try:
        yield made
    finally:
        made.drips = False
        server.shutdown()
        server.server_close()
        thread.join(10)
