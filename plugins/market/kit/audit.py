"""The audit: refusals, what was ended on sight, secrets that changed, what administrators and managers did.

Lines are only ever added (sql/schema/0029_audit.sql); nothing in it is a secret or anybody's data.
"""

from __future__ import annotations

import logging
from typing import Any

from market.kit import database
from market.kit.database import Cursor
from market.kit.paging import Listing, Page
from market.kit.text import storable

log = logging.getLogger(__name__)

REFUSAL = "refusal"
UNKNOWN_APPLICATION = "unknown_application"
ROTATION = "rotation"
ADMINISTRATION = "administration"
ACCOUNT = "account"  # what people do with their own: tokens for programs
PROJECT = "project"  # its members, budgets and transfers
KINDS = (REFUSAL, UNKNOWN_APPLICATION, ROTATION, ADMINISTRATION, ACCOUNT, PROJECT)

# Kinds that strangers can cause, and so fill: lines of each in a minute, at most.
_MOST_A_MINUTE = {REFUSAL: 30, UNKNOWN_APPLICATION: 30}
_MAX_ACTOR, _MAX_SUBJECT, _MAX_DETAIL = 100, 300, 2_000  # characters; all may be somebody else's words


def write(cursor: Cursor, kind: str, actor: str, subject: str, detail: str, once: bool = False) -> bool:
    """Add a line in the caller's transaction; tell whether it was added.

    With `once` only where there is none of this kind and subject. What strangers cause is bounded in number:
    the last line of a minute says that there is more.
    """
    cursor.execute(
        "SELECT audit_write(%s, %s, %s, %s, %s, %s) AS added",
        [
            *(kind, storable(actor, _MAX_ACTOR), storable(subject, _MAX_SUBJECT)),
            *(storable(detail, _MAX_DETAIL), once, _MOST_A_MINUTE.get(kind)),
        ],
    )
    return bool(cursor.fetchone().added)


def refusal(actor: str, subject: str, detail: str) -> None:
    """Add a line about a refusal, in a transaction of its own. Raises nothing: the refusal stands anyway."""
    try:
        with database.transaction() as cursor:
            write(cursor, REFUSAL, actor, subject, detail)
    except Exception as error:
        log.warning("a refusal of %r is not in the audit: %r", actor, error)


def any_since(cursor: Cursor, kind: str, at_ms: int) -> bool:
    """Tell whether there is a line of this kind since then."""
    cursor.execute("SELECT FROM audit WHERE kind = %s AND at_ms >= %s LIMIT 1", [kind, at_ms])
    found: bool = cursor.rowcount == 1
    return found


def lines(
    page: Page, kind: str | None, since_ms: int, until_ms: int, actor: str = "", subject: str = ""
) -> Listing[dict[str, Any]]:
    """Return a page of the lines from `since_ms` until before `until_ms`, of one kind or all.

    `actor` and `subject` are who did it and what it was done to, whole; empty: whoever and whatever.
    """
    chosen = "at_ms >= %s AND at_ms < %s"
    values: list[int | str] = [since_ms, until_ms]
    if kind is not None:
        chosen, values = f"{chosen} AND kind = %s", [*values, kind]
    for column, value in (("actor", actor), ("subject", subject)):
        if value:
            chosen, values = f"{chosen} AND {column} = %s", [*values, value]
    direction = "DESC" if page.descending else "ASC"
    with database.transaction() as cursor:
        cursor.execute(f"SELECT count(*) AS total FROM audit WHERE {chosen}", values)  # noqa: S608
        total = cursor.fetchone().total
        cursor.execute(
            f"SELECT at_ms, kind, actor, subject, detail FROM audit WHERE {chosen}"  # noqa: S608
            f" ORDER BY audit_id {direction} LIMIT %s OFFSET %s",
            [*values, page.limit, page.offset],
        )
        rows = [
            {
                "at": row.at_ms,
                "kind": row.kind,
                "actor": row.actor,
                "subject": row.subject,
                "detail": row.detail,
            }
            for row in cursor.fetchall()
        ]
    return Listing(rows, total)
