"""Tokens for programs: each has a name, scopes and an end, and is kept as a hash.

They are random, so a plain SHA-256 is enough: there is nothing to guess. None of them is one of Airflow's
tokens, so Airflow's own interface and pages take none.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from typing import Any

from market.kit import audit, database
from market.kit.clock import new_id, now_ms
from market.kit.errors import ConflictError, NotFoundError, NotLoggedInError, OverLimitError
from market.kit.settings import load
from market.people import limits, members, suspension
from market.people.logins import Logins
from market.people.member import Member

PREFIX = "dmt_"  # by which people, and programs that look for leaked secrets, know one
MOST = 100  # that one member has at a time
_BYTES = 32
_DAY_S = 24 * 3600
_LONGEST_S = 400 * _DAY_S
_AFTER_A_LEASE_S = 30 * _DAY_S
_USE_NOTED_MS = 60_000


@dataclass(frozen=True)
class ProgramToken:
    """A token without what proves it; times in epoch milliseconds."""

    token_id: str
    name: str
    scopes: tuple[str, ...]
    created_ms: int
    expires_ms: int
    last_used_ms: int | None


@dataclass(frozen=True)
class Proof:
    """What a token that is in force says: for which login, for what, and under which password it was made."""

    login_id: int
    scopes: frozenset[str]
    password_key: str


def longest_s() -> int:
    """Return how long a token may live at most: longer than any lease, so that an agent needs only one."""
    return max(_LONGEST_S, load().machines.max_time_period_s + _AFTER_A_LEASE_S)


def create(logins: Logins, member: Member, name: str, scopes: list[str], lifetime_s: int) -> dict[str, Any]:
    """Make a token; return it with its text, which nobody can see again. Those that have expired go.

    Raises ConflictError for a name that is in use, OverLimitError.
    """
    limits.program_token(member.user_id)
    login_id = members.login_id(member.username)
    if login_id is None:
        raise NotLoggedInError("This account was deleted just now.")
    password_key = logins.password_key(login_id)
    text, at_ms = PREFIX + secrets.token_urlsafe(_BYTES), now_ms()
    made = ProgramToken(new_id(), name, tuple(sorted(set(scopes))), at_ms, at_ms + lifetime_s * 1000, None)
    with database.transaction() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"program tokens {member.user_id}"]
        )
        suspension.refuse_act(cursor, member.user_id)
        cursor.execute(
            "DELETE FROM program_token WHERE user_id = %s AND expires_ms <= %s", [member.user_id, at_ms]
        )
        present = {token.name for token in _of(cursor, member)}
        if name in present:
            raise ConflictError(f"You have a token called {name}. Revoke it, or choose another name.")
        if len(present) >= MOST:
            raise OverLimitError(f"You have {MOST} tokens, the most that there may be. Revoke one first.")
        cursor.execute(
            "INSERT INTO program_token"
            " (token_id, user_id, name, hash, scopes, password_key, created_ms, expires_ms)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
            [
                *(made.token_id, member.user_id, name, _hash(text), list(made.scopes), password_key),
                *(made.created_ms, made.expires_ms),
            ],
        )
        words = f"token {made.token_id} made for {', '.join(made.scopes)}"
        audit.write(cursor, audit.ACCOUNT, member.username, name, words)
    return {**vars(made), "token": text}


def list_tokens(member: Member) -> list[ProgramToken]:
    """Return a member's tokens, the newest first; some of them may have expired."""
    with database.transaction() as cursor:
        return _of(cursor, member)


def revoke(member: Member, token_id: str) -> None:
    """End a token at once. Raises NotFoundError."""
    with database.transaction() as cursor:
        cursor.execute(
            "DELETE FROM program_token WHERE user_id = %s AND token_id = %s RETURNING name",
            [member.user_id, token_id],
        )
        row = cursor.fetchone()
        if row is None:
            raise NotFoundError("You have no such token.")
        audit.write(cursor, audit.ACCOUNT, member.username, row.name, f"token {token_id} revoked")


def end_all(login_id: int, why: str) -> None:
    """End all tokens of a login; `why` is for the audit."""
    with database.transaction() as cursor:
        end_all_within(cursor, login_id, why)


def end_all_within(cursor: database.Cursor, login_id: int, why: str) -> None:
    """Do the same in the caller's transaction."""
    cursor.execute(
        "WITH gone AS (DELETE FROM program_token USING member"
        " WHERE program_token.user_id = member.user_id AND fab_user_id = %s RETURNING username)"
        " SELECT min(username) AS username, count(*) AS ended FROM gone",
        [login_id],
    )
    row = cursor.fetchone()
    if row.ended:
        audit.write(
            cursor, audit.ACCOUNT, row.username, "tokens", f"{row.ended} tokens of programs ended: {why}"
        )


def proof(text: str) -> Proof:
    """Return what a token proves, and note its use. Raises NotLoggedInError if it is not in force."""
    at_ms = now_ms()
    with database.transaction() as cursor:
        cursor.execute(
            "SELECT token_id, fab_user_id, scopes, password_key, expires_ms, last_used_ms, suspended_because"
            " FROM program_token JOIN member USING (user_id) WHERE hash = %s",
            [_hash(text)],
        )
        row = cursor.fetchone()
        if row is None:
            raise NotLoggedInError("This token is not valid: it was revoked, or has never been.")
        if row.suspended_because is not None:
            raise suspension.AccountSuspendedError(row.suspended_because)
        if row.expires_ms <= at_ms:
            raise NotLoggedInError("This token has expired. Make another one.")
        if row.last_used_ms is None or row.last_used_ms <= at_ms - _USE_NOTED_MS:
            cursor.execute(
                "UPDATE program_token SET last_used_ms = %s WHERE token_id = %s", [at_ms, row.token_id]
            )
    return Proof(row.fab_user_id, frozenset(row.scopes), row.password_key)


def _of(cursor: database.Cursor, member: Member) -> list[ProgramToken]:
    cursor.execute(
        "SELECT token_id, name, scopes, created_ms, expires_ms, last_used_ms FROM program_token"
        " WHERE user_id = %s ORDER BY created_ms DESC, token_id",
        [member.user_id],
    )
    return [ProgramToken(**row._asdict() | {"scopes": tuple(row.scopes)}) for row in cursor.fetchall()]


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode(errors="replace")).digest()
