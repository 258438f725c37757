"""A member's secrets: values that he stores once and that only his own jobs are given."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from market.hadoop import variables
from market.kit import database
from market.kit.clock import now_ms
from market.kit.errors import BadInputError, ConflictError, NotFoundError, OverLimitError
from market.kit.paging import Listing, Page
from market.kit.settings import load
from market.people.member import Member

log = logging.getLogger(__name__)

KEY = "member_secrets_key"  # among the market's own secrets
ORDERS = ("name", "modified_time")
_MOST = 100
_MAX_BYTES = 32 << 10
_MAX_TOGETHER = 48 << 10  # of one job: they reach its executors encoded in one variable, of at most 128 KiB


@dataclass(frozen=True)
class Secret:
    """A secret without its value."""

    name: str
    modified_ms: int


def put(member: Member, name: str, value: str) -> Secret:
    """Store a secret, in the place of an older one with its name.

    Raises BadInputError, OverLimitError.
    """
    if problem := variables.problem(name):
        raise BadInputError({"name": [problem]})
    if (size := len(value.encode())) > _MAX_BYTES:
        raise BadInputError({"value": [f"has {size} bytes; at most {_MAX_BYTES} are allowed"]})
    at_ms = now_ms()
    with database.transaction() as cursor:
        sealed = _keys(cursor).encrypt(json.dumps([member.user_id, name, value]).encode())
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"secrets {member.user_id}"])
        cursor.execute("SELECT name FROM member_secret WHERE user_id = %s", [member.user_id])
        present = {row.name for row in cursor.fetchall()}
        if name not in present and len(present) >= _MOST:
            raise OverLimitError(f"You have {_MOST} secrets, the most that there may be. Delete one first.")
        cursor.execute(
            "INSERT INTO member_secret VALUES (%s, %s, %s, %s, %s) ON CONFLICT (user_id, name) DO UPDATE"
            " SET sealed = excluded.sealed, bytes = excluded.bytes, modified_ms = excluded.modified_ms",
            [member.user_id, name, sealed, size, at_ms],
        )
    return Secret(name, at_ms)


def list_secrets(member: Member, page: Page | None = None) -> Listing[Secret]:
    """Return a page of a member's secrets, the newest first unless it says otherwise."""
    page = page or Page()
    with database.transaction() as cursor:
        cursor.execute("SELECT name, modified_ms FROM member_secret WHERE user_id = %s", [member.user_id])
        found = sorted((Secret(*row) for row in cursor.fetchall()), key=lambda secret: secret.name)
    if page.order_by != "name":
        found.sort(key=lambda secret: secret.modified_ms, reverse=page.descending)
    elif page.descending:
        found.reverse()
    return Listing(found[page.offset : page.offset + page.limit], len(found))


def delete(member: Member, name: str) -> None:
    """Delete a secret; jobs that wait with it will fail. Raises NotFoundError."""
    with database.transaction() as cursor:
        cursor.execute("DELETE FROM member_secret WHERE user_id = %s AND name = %s", [member.user_id, name])
        if not cursor.rowcount:
            raise NotFoundError(f"You have no secret {name}.")


def delete_all(cursor: database.Cursor, user_id: str) -> None:
    """Delete all secrets of a member, in the caller's transaction."""
    cursor.execute("DELETE FROM member_secret WHERE user_id = %s", [user_id])


def problems(user_id: str, names: Iterable[str]) -> list[str]:
    """Return what is wrong with these secrets for a job, in words; nothing if all are there and fit."""
    wanted = set(names)
    if not wanted:
        return []
    with database.transaction() as cursor:
        cursor.execute("SELECT name, bytes FROM member_secret WHERE user_id = %s", [user_id])
        sizes = {row.name: row.bytes for row in cursor.fetchall() if row.name in wanted}
    words = [
        f"You have no secret {name}. Store it with PUT /secrets/{name}."
        for name in sorted(wanted - set(sizes))
    ]
    if sum(sizes.values()) > _MAX_TOGETHER:
        words.append(f"These secrets have more than {_MAX_TOGETHER} bytes together, the most for one job.")
    return words


def values(username: str, names: Iterable[str]) -> dict[str, str]:
    """Return the values of a member's secrets, for a job of his own.

    Raises ConflictError if one is gone, or cannot be read with the market's key any more.
    """
    wanted, found = sorted(set(names)), {}
    with database.transaction() as cursor:
        keys = _keys(cursor)
        cursor.execute(
            "SELECT user_id, name, sealed FROM member_secret JOIN member USING (user_id)"
            " WHERE username = %s AND name = ANY (%s)",
            [username, wanted],
        )
        for row in cursor.fetchall():
            try:
                user_id, name, value = json.loads(keys.decrypt(bytes(row.sealed)))
            except InvalidToken:
                continue
            if (user_id, name) == (row.user_id, row.name):
                found[name] = value
    if missing := [name for name in wanted if name not in found]:
        raise ConflictError(f"The secret {missing[0]} is not there any more. Store it, and submit again.")
    return found


def reseal(store: Callable[[bytes], None]) -> int:
    """Encrypt all secrets with a new key, which `store` writes where the old one was; return how many.

    While it lasts the two keys stand there together, so that it may be interrupted anywhere and begun again.
    Nobody stores or reads a secret meanwhile. One that no key fits stays as it is.
    """
    fresh = Fernet.generate_key()
    with database.transaction() as guard:
        guard.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [KEY])
        store(b"\n".join([fresh, *load().secret(KEY).encode().split()]))
        keys, resealed = _stored_keys(), 0
        with database.transaction() as cursor:
            cursor.execute("SELECT user_id, name, sealed FROM member_secret")
            for row in cursor.fetchall():
                try:
                    sealed = keys.rotate(bytes(row.sealed))
                except InvalidToken:
                    log.warning("the secret %s of %s fits no key: it stays as it is", row.name, row.user_id)
                    continue
                cursor.execute(
                    "UPDATE member_secret SET sealed = %s WHERE user_id = %s AND name = %s",
                    [sealed, row.user_id, row.name],
                )
                resealed += 1
        store(fresh)
    return resealed


def _keys(cursor: database.Cursor) -> MultiFernet:
    """Return the keys, the newest first; until the end of the transaction they stay the ones in force."""
    cursor.execute("SELECT pg_advisory_xact_lock_shared(hashtextextended(%s, 0))", [KEY])
    return _stored_keys()


def _stored_keys() -> MultiFernet:
    return MultiFernet([Fernet(key) for key in load().secret(KEY).split()])
