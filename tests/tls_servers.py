"""Servers that speak TLS with a certificate of their own, and note what reaches them."""

from __future__ import annotations

import re
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from market.kit import settings
from market.ops.run import certificate

ANSWER = b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
BODY = b'{"access_token": "sesame"}'


def with_certificate(state: Path, **security: str) -> settings.Settings:
    """Return settings of a market in `state` whose API speaks TLS, with its certificate made."""
    loaded = settings.load(state)
    loaded = replace(loaded, security=replace(loaded.security, tls="on", **security))
    state.mkdir(exist_ok=True)
    certificate.prepare(loaded)
    return loaded


@dataclass
class Heard:
    """What a server received after the handshake, whole."""

    port: int
    words: list[bytes] = field(default_factory=list)


@contextmanager
def speaking_tls(loaded: settings.Settings, answer: bytes = ANSWER % (len(BODY), BODY)) -> Iterator[Heard]:
    """Answer every request so, on a port of all loopback's addresses."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(loaded.tls_certificate, loaded.tls_key)
    with socket.create_server(("0.0.0.0", 0)) as listener:
        heard = Heard(listener.getsockname()[1])

        def serve() -> None:
            while True:
                try:
                    line, _ = listener.accept()
                except OSError:  # closed: the end
                    return
                with suppress(OSError), context.wrap_socket(line, server_side=True) as speaking:
                    speaking.settimeout(10)
                    if text := _request(speaking):
                        heard.words.append(text)
                        speaking.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield heard
        finally:
            listener.shutdown(socket.SHUT_RDWR)
    thread.join(15)


def _request(speaking: ssl.SSLSocket) -> bytes:
    """Return a request with its body."""
    text = b""
    while part := speaking.recv(1 << 16):
        text += part
        head, _, body = text.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: (\d+)", head)
        if b"\r\n\r\n" in text and len(body) >= int(length[1] if length else 0):
            break
    return text
