"""Secrets: generated at first start, one file each, mode 600, shipped nowhere."""

from __future__ import annotations

import base64
import os
import secrets
from pathlib import Path

from market.cluster import tickets
from market.kit.settings import METRICS_TOKEN, Paths
from market.notifications import webhooks
from market.people import retired_addresses

DATABASE_ROLES = ("postgres", "market_owner", "market_app", "airflow")
_WORDS = (
    *("admin_password", "jwt_secret", "api_secret_key", METRICS_TOKEN),
    webhooks.KEY,
    retired_addresses.KEY,
    *(f"db_{role}" for role in DATABASE_ROLES),
)

_FERNET_KEYS = (
    "fernet_key",
    "member_secrets_key",
)  # Airflow's, and that of what members store (people/secrets.py)


def generate(paths: Paths) -> None:
    """Make the secrets that are missing."""
    paths.secrets.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in _WORDS:
        write(paths.secrets / name, secrets.token_hex(32))
    for name in _FERNET_KEYS:
        write(paths.secrets / name, base64.urlsafe_b64encode(secrets.token_bytes(32)).decode())
    write(paths.secrets / tickets.SECRET, tickets.generate())


def publish(paths: Paths) -> None:
    """Write what servers and machines check the market's tickets by, which is no secret."""
    paths.ticket_key_public.write_text(tickets.public((paths.secrets / tickets.SECRET).read_text()))


def generate_word(path: Path) -> None:
    """Make a password in a file of its own, unless it is there."""
    write(path, secrets.token_hex(16))


def write(path: Path, text: str) -> None:
    """Write a secret unless there is one; it appears whole or not at all."""
    if path.exists():
        return
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text + "\n")
    fresh.rename(path)


def replace(path: Path, content: bytes) -> None:
    """Write a secret in the place of the one before; it changes at once, from one whole to the other."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    fresh.rename(path)
