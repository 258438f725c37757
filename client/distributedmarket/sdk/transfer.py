"""Files that come from a market: in their place only when they are whole, going on where they broke off."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import requests

from distributedmarket.client import BrokenOffError, MarketClientError, UnreachableError
from distributedmarket.client.retries import Retries

# An answer from a byte on, of the version with this ETag: (range, ETag) -> the open answer.
Open = Callable[[str | None, str | None], requests.Response]
_PIECE = 1 << 14  # of a transfer that breaks off as much is lost, at most
_CHUNK = 1 << 20
_PARTIAL = 206


def below(folder: Path, path: str) -> Path:
    """Return where a file of the market's lies below a folder. Raises MarketClientError if it would not."""
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts or "\0" in path:
        raise MarketClientError(f"the market names a file {path!r}, which would lie elsewhere: not fetched")
    return folder.joinpath(*parts)


def download(opened: Open, target: Path, retries: Retries | None = None) -> int:
    """Put a file into its place, with the folders above it; return its bytes.

    A transfer that breaks off goes on from there, as often as `retries` allows without a byte more, unless
    the file has changed meanwhile: then it begins anew. What is in the place stays until all is there.
    """
    retries = retries or Retries()
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f"{target.name}.part")
    try:
        with partial.open("wb") as file:
            transfer, failures = _Transfer(opened, file), 0
            while True:
                had = file.tell()
                try:
                    transfer.go_on()
                    break
                except (BrokenOffError, UnreachableError):
                    failures = failures + 1 if file.tell() == had else 1
                    wait_s = retries.wait_s(failures)
                    if wait_s is None:
                        raise
                    time.sleep(wait_s)
            size = file.tell()
        partial.replace(target)
        return size
    finally:
        partial.unlink(missing_ok=True)


class _Transfer:
    """A file that is being fetched, of one version."""

    def __init__(self, opened: Open, file: BinaryIO) -> None:
        self._opened, self._file = opened, file
        self._version: str | None = None

    def go_on(self) -> None:
        """Fetch what is missing. Raises BrokenOffError."""
        begin = self._file.tell() if self._version else 0
        with self._opened(f"bytes={begin}-" if begin else None, self._version if begin else None) as answer:
            version = answer.headers.get("ETag")
            if answer.status_code != _PARTIAL:
                self._file.seek(0)
                self._file.truncate()
            elif version != self._version:
                raise MarketClientError(
                    "the market gave a part of another version of the file: fetch it again"
                )
            self._version = version
            try:
                for chunk in answer.iter_content(_PIECE):
                    self._file.write(chunk)
            except requests.RequestException as error:
                raise BrokenOffError(f"the market broke off ({type(error).__name__})") from None


def digest(file: Path) -> str:
    """Return a file's SHA-256 in hex."""
    found = hashlib.sha256()
    with file.open("rb") as source:
        while chunk := source.read(_CHUNK):
            found.update(chunk)
    return found.hexdigest()
