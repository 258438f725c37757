"""All files below a folder of HDFS in a few requests, through the warm submitter's process.

That process speaks HDFS's own protocol, in which many folders are one request; over HTTP each is one. It may
be away, or busy: then the caller asks over HTTP. The protocol: java/submitter/Listing.java.
"""

from __future__ import annotations

import logging
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path

from market.cluster.errors import HdfsDenied, HdfsNotFound

log = logging.getLogger(__name__)

MOST_ENTRIES = 200_000  # files and folders; a home's quota is less
_WAIT_S = 10.0  # for each answer
_LONGEST_S = 60.0
_MAX_ANSWER = 1 << 20

File = tuple[str, int, int]  # path below the folder, size in bytes, time of change in epoch ms


class Lister:
    """Asks the process that listens at a socket."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def below(self, user: str, folder: str) -> list[File] | None:
        """Return all files below a folder as a user sees them, None if it cannot be told this way.

        Raises HdfsNotFound, HdfsDenied.
        """
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
                line.settimeout(_WAIT_S)
                line.connect(str(self._path))
                words = "\0".join(("list", user, folder, str(MOST_ENTRIES))).encode()
                line.sendall(struct.pack(">I", len(words)) + words)
                return list(_files(line, folder))
        except (OSError, ValueError) as error:  # also a NUL or half a surrogate in the folder's name
            log.debug("%s is listed over HTTP: %s", folder, error)
            return None


def _files(line: socket.socket, folder: str) -> Iterator[File]:
    until = time.monotonic() + _LONGEST_S
    while time.monotonic() < until:
        kind, text = _answer(line)
        if kind == b"D":
            return
        if kind == b"M":
            raise HdfsNotFound(f"there is no {folder}")
        if kind == b"A":
            raise HdfsDenied(f"{folder} may not be read")
        if kind != b"E":
            raise OSError(text or "it refuses")
        words = text.split("\0")[:-1]
        for size, modified_ms, path in zip(words[::3], words[1::3], words[2::3], strict=True):
            yield path, int(size), int(modified_ms)
    raise OSError("it takes too long")


def _answer(line: socket.socket) -> tuple[bytes, str]:
    head = _exactly(line, 5)
    length = int.from_bytes(head[1:], "big")
    if length > _MAX_ANSWER:
        raise OSError(f"an answer of {length} bytes")
    return head[:1], _exactly(line, length).decode()


def _exactly(line: socket.socket, length: int) -> bytes:
    received = bytearray()
    while len(received) < length:
        part = line.recv(length - len(received))
        if not part:
            raise OSError("it went away")
        received += part
    return bytes(received)
