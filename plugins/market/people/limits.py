"""Limits on attempts: a bucket that refills evenly, in PostgreSQL, so that all api-servers count together.

Attempts to log in are counted where a password is checked, whatever way leads there. An account's bucket is
that of strangers: who has logged in from an address before has one of his own there, so that nobody can lock
him out by guessing.
"""

from __future__ import annotations

import hashlib
import ipaddress
import math
import random
from contextvars import ContextVar

from market.kit import audit, database
from market.kit.clock import now_ms
from market.kit.errors import OverLimitError
from market.kit.settings import load

_WINDOW_MS = 60_000
_WEBHOOK_TESTS_A_MINUTE = 6
_TOKENS_A_MINUTE = 30
_CLEANING = 0.01  # share of the attempts that also remove full buckets
_KNOWN_FOR_MS = 90 * 24 * 3600 * 1000

# The network address that this request came from; empty outside of one.
caller: ContextVar[str] = ContextVar("caller", default="")


def login_attempt(address: str, username: str) -> None:
    """Count an attempt to log in, for the address and for the account. Raises OverLimitError."""
    network = _network(address)
    buckets = [_bucket("login from", network), _bucket("login as", _whose(network, username))]
    try:
        _take(buckets, load().accounts.login_attempts_per_minute, "attempts to log in")
    except OverLimitError as error:
        audit.refusal(network, "login", error.detail)
        raise


def logged_in(address: str, username: str) -> None:
    """Remember that an account was logged in from an address."""
    client = _client(username.strip().lower(), _network(address))
    with database.transaction() as cursor:
        cursor.execute(
            "INSERT INTO known_client AS c (client, last_ms) VALUES (%s, %s)"
            " ON CONFLICT (client) DO UPDATE SET last_ms = excluded.last_ms",
            [client, now_ms()],
        )
        if random.random() < _CLEANING:  # noqa: S311
            cursor.execute("DELETE FROM known_client WHERE last_ms < %s", [now_ms() - _KNOWN_FOR_MS])


def registration(address: str) -> None:
    """Count a registration from an address. Raises OverLimitError."""
    buckets = [_bucket("registration from", _network(address))]
    _take(buckets, load().accounts.registrations_per_minute, "registrations")


def reset(address: str, account: str) -> None:
    """Count a request for a new password, for the address and for the account. Raises OverLimitError."""
    network = _network(address)
    buckets = [_bucket("reset from", network), _bucket("reset of", _whose(network, account))]
    _take(buckets, load().accounts.login_attempts_per_minute, "requests for a new password")


def code(address: str) -> None:
    """Count the use of a code that was mailed, for the address. Raises OverLimitError."""
    buckets = [_bucket("code from", _network(address))]
    _take(buckets, load().accounts.login_attempts_per_minute, "codes")


def machine(user_id: str) -> None:
    """Count the registration of a machine by a member. Raises OverLimitError."""
    per_minute = load().machines.registrations_per_minute
    _take([_bucket("machine of", user_id)], per_minute, "registrations of machines")


def webhook_test(user_id: str) -> None:
    """Count a test of a member's webhook. Raises OverLimitError."""
    _take([_bucket("webhook test of", user_id)], _WEBHOOK_TESTS_A_MINUTE, "tests of webhooks")


def program_token(user_id: str) -> None:
    """Count a token that a member makes for a program. Raises OverLimitError."""
    _take([_bucket("token of", user_id)], _TOKENS_A_MINUTE, "new tokens")


def _whose(network: str, username: str) -> str:
    """Return whose attempts these are: the account's, or those of an owner who is known at this address."""
    account = username.strip().lower()
    return f"{account} from {network}" if _is_known(account, network) else account


def _is_known(account: str, network: str) -> bool:
    with database.transaction() as cursor:
        cursor.execute("SELECT FROM known_client WHERE client = %s", [_client(account, network)])
        return cursor.rowcount == 1


def _client(account: str, network: str) -> str:
    return hashlib.sha256(f"{account}\n{network}".encode(errors="replace")).hexdigest()


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
