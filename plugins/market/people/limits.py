"""Limits on attempts: a bucket that refills evenly, in PostgreSQL, so that all api-servers count together."""

from __future__ import annotations

import hashlib
import ipaddress
import math
import random

from market.kit import database
from market.kit.clock import now_ms
from market.kit.errors import OverLimitError
from market.kit.settings import load

_WINDOW_MS = 60_000
_CLEANING = 0.01  # share of the attempts that also remove full buckets


def login_attempt(address: str, username: str) -> None:
    """Count an attempt to log in, for the address and for the name. Raises OverLimitError."""
    buckets = [_bucket("login from", _network(address)), _bucket("login as", username.strip().lower())]
    _take(buckets, load().accounts.login_attempts_per_minute, "attempts to log in")


def registration(address: str) -> None:
    """Count a registration from an address. Raises OverLimitError."""
    buckets = [_bucket("registration from", _network(address))]
    _take(buckets, load().accounts.registrations_per_minute, "registrations")


def _bucket(what: str, whose: str) -> str:
    return f"{what} {hashlib.sha256(whose.encode(errors='replace')).hexdigest()}"


def _network(address: str) -> str:
    """Return what one party is taken to have: an IPv4 address, or the /64 network of an IPv6 address."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 6:
        return str(parsed.ipv4_mapped or ipaddress.ip_network((parsed, 64), strict=False))
    return address


def _take(buckets: list[str], per_minute: int, what: str) -> None:
    """Take one step from each bucket, or from none: a refused attempt does not make the wait longer."""
    if per_minute <= 0:
        raise OverLimitError(f"This market takes no {what}.")
    step_ms, at_ms = _WINDOW_MS // per_minute, now_ms()
    with database.transaction() as cursor:
        for bucket in buckets:  # always in the same order, so that two attempts cannot block each other
            cursor.execute(
                "INSERT INTO attempt AS a (bucket, full_ms) VALUES (%(bucket)s, %(now)s + %(step)s)"
                " ON CONFLICT (bucket) DO UPDATE SET full_ms = greatest(a.full_ms, %(now)s) + %(step)s"
                " RETURNING full_ms",
                {"bucket": bucket, "now": at_ms, "step": step_ms},
            )
            over_ms = cursor.fetchone().full_ms - at_ms - _WINDOW_MS
            if over_ms > 0:  # raising rolls back what was taken
                wait_s = math.ceil(over_ms / 1000)
                raise OverLimitError(
                    f"Too many {what}: {per_minute} a minute are allowed. Try again in {wait_s} s.",
                    retry_after_s=wait_s,
                )
        if random.random() < _CLEANING:  # noqa: S311
            cursor.execute(
                "DELETE FROM attempt WHERE bucket IN"
                " (SELECT bucket FROM attempt WHERE full_ms < %s LIMIT 10000 FOR UPDATE SKIP LOCKED)",
                [at_ms],
            )
