"""Who is logged in where: profiles in a file of the user's own that nobody else can read.

A profile holds a token, never a password. Where a password lies in a file, the profile may hold its path:
then a token that has expired is replaced without asking.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from fcntl import LOCK_EX, flock
from pathlib import Path
from typing import Any

from distributedmarket.client.trust import Trust
from distributedmarket.errors import SetupError

DEFAULT = "default"
_OWNER_ONLY = 0o600
_MOST_BYTES = 1 << 20


@dataclass(frozen=True)
class Profile:
    """A login. `expires_ms` is when its token ends, in epoch milliseconds."""

    server: str
    username: str
    user_id: str
    token: str = field(repr=False)
    expires_ms: int = 0
    password_file: str = ""
    pin: str = ""
    ca: str = ""
    plain_http: bool = False

    @property
    def trust(self) -> Trust:
        """By what the market is known. Raises MarketClientError."""
        return Trust(self.pin, self.ca, self.plain_http)


def place() -> Path:
    """Return the file: MARKET_PROFILES, else one in the user's folder of settings."""
    if given := os.environ.get("MARKET_PROFILES"):
        return Path(given)
    settings = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return settings / "distributedmarket" / "profiles.json"


def chosen(name: str = "") -> str:
    """Return the name of the profile that is meant: a given one, else MARKET_PROFILE, else the default."""
    return name or os.environ.get("MARKET_PROFILE") or DEFAULT


def find(name: str = "") -> Profile | None:
    """Return a profile, or None. Raises SetupError where others can read the file, or it is damaged."""
    return _read().get(chosen(name))


def every() -> dict[str, Profile]:
    """Return all profiles by name. Raises SetupError."""
    return _read()


def save(profile: Profile, name: str = "") -> None:
    """Store a profile in the place of an older one. Raises SetupError."""
    with _changing() as profiles:
        profiles[chosen(name)] = profile


def remove(name: str = "") -> bool:
    """Forget a profile; tell whether there was one. Raises SetupError."""
    with _changing() as profiles:
        return profiles.pop(chosen(name), None) is not None


@contextmanager
def _changing() -> Iterator[dict[str, Profile]]:
    """Yield the profiles to be changed, one process at a time; the new file replaces the old one whole."""
    file = place()
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with file.with_suffix(".lock").open("w") as lock:
            flock(lock, LOCK_EX)
            profiles = _read()
            yield profiles
            fresh = file.with_suffix(".new")
            fresh.unlink(missing_ok=True)
            with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY), "w") as target:
                json.dump({name: asdict(profile) for name, profile in profiles.items()}, target, indent=1)
            fresh.replace(file)
    except OSError as error:
        raise SetupError(f"the login cannot be stored in {file}: {error.strerror}") from None


def _read() -> dict[str, Profile]:
    file = place()
    try:
        with file.open() as source:
            mode = stat.S_IMODE(os.fstat(source.fileno()).st_mode)
            if mode & ~_OWNER_ONLY:
                raise SetupError(f"{file} can be read by others (mode {mode:o}): run chmod 600 {file}")
            stored = json.loads(source.read(_MOST_BYTES))
        return {str(name): _profile(values) for name, values in stored.items()}
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise SetupError(f"{file} cannot be read: {error.strerror}") from None
    except (ValueError, TypeError, AttributeError):
        raise SetupError(f"{file} is damaged: delete it, and log in again with market login") from None


def _profile(values: Any) -> Profile:
    known = {item.name for item in fields(Profile)}
    return Profile(**{name: value for name, value in values.items() if name in known})
