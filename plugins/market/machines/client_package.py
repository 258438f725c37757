"""The client's package as the market gives it away: which file it is, and by what it is known."""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass
from pathlib import Path

from market.kit.errors import NotFoundError
from market.kit.settings import load

ADDRESS = "/market/agent/v1/client"


@dataclass(frozen=True)
class ClientPackage:
    """A wheel: its size is in bytes."""

    path: Path
    size: int
    sha256: str

    @property
    def file_name(self) -> str:
        """Its name, which says the version."""
        return self.path.name

    @property
    def address(self) -> str:
        """Where it is fetched, below the market's own address."""
        return f"{ADDRESS}/{self.file_name}"


def current() -> ClientPackage:
    """Return the package that setup has made. Raises NotFoundError where it has made none."""
    try:
        path = min(load().paths.client_package.glob("*.whl"))
        state = path.stat()
    except (ValueError, OSError):
        raise NotFoundError(
            "this market gives no client away: its operator makes it with ./market setup"
        ) from None
    return ClientPackage(path, state.st_size, _digest(path, state.st_mtime_ns, state.st_size))


def named(file_name: str) -> ClientPackage:
    """Return the package if that is its name. Raises NotFoundError for any other: there is one at a time."""
    package = current()
    if package.file_name != file_name:
        raise NotFoundError(f"the client that this market gives away is {package.file_name}")
    return package


@functools.lru_cache(maxsize=4)
def _digest(path: Path, changed_ns: int, size: int) -> str:
    """Return the SHA-256 of a file as it is at that time; it is read once."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
