"""Alerts: what an operator should know of, once for each subject.

An alert is open until an administrator has acknowledged it or it has cleared. `docs/runbook.md` says for each
kind what it means and what to do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from market.kit import audit, clock, database
from market.kit.errors import NotFoundError
from market.kit.paging import Listing, Page
from market.kit.text import storable

UNREGISTERED_NODE = "unregistered_node"
WRONG_SIZE = "wrong_size"
POOR_MACHINE = "poor_machine"
UNKNOWN_APPLICATION = "unknown_application"
CLOCK_STEPPED = "clock_stepped"
CLOCK_STEPPED_BACK = "clock_stepped_back"
GIVEN_UP = "given_up"
FAILING_LOOP = "failing_loop"
LEDGER = "ledger"
SEAL_LOG = "seal_log"
BACKUP = "backup"

_DAY_S = 86_400
# Kind -> after how many seconds without being raised again it is over; None: only a person can tell.
KINDS: dict[str, int | None] = {
    UNREGISTERED_NODE: _DAY_S,  # raised when all resources are taken from it, and if it gets some again
    WRONG_SIZE: 7 * _DAY_S,
    POOR_MACHINE: 7 * _DAY_S,
    UNKNOWN_APPLICATION: 7 * _DAY_S,
    CLOCK_STEPPED: 7 * _DAY_S,
    CLOCK_STEPPED_BACK: 7 * _DAY_S,
    GIVEN_UP: 2 * _DAY_S,  # what was given up is tried once a day
    FAILING_LOOP: 2 * _DAY_S,  # cleared as soon as it works
    LEDGER: None,
    SEAL_LOG: None,
    BACKUP: None,  # cleared by the next one that is made
}
OPEN, ALL = STATES = ("open", "all")

_MAX_SUBJECT, _MAX_DETAIL = 300, 2_000  # characters; both may be somebody else's words
_KEPT_MS = 90 * _DAY_S * 1000  # after it was over
_AT_A_TIME = 1_000
_IS_OPEN = "cleared_ms IS NULL AND acknowledged_ms IS NULL"
_RAISE = """
    INSERT INTO alert AS a (at_ms, first_ms, kind, subject, detail)
        VALUES (%(at)s, %(at)s, %(kind)s, %(subject)s, %(detail)s)
    ON CONFLICT (kind, subject) DO UPDATE SET
        at_ms = excluded.at_ms, detail = excluded.detail,
        first_ms = CASE WHEN a.cleared_ms IS NULL THEN a.first_ms ELSE excluded.at_ms END,
        times = CASE WHEN a.cleared_ms IS NULL THEN a.times + 1 ELSE 1 END,
        acknowledged_ms = CASE WHEN a.cleared_ms IS NULL THEN a.acknowledged_ms END,
        acknowledged_by = CASE WHEN a.cleared_ms IS NULL THEN a.acknowledged_by END,
        cleared_ms = NULL
"""
_ONCE = " WHERE false"  # one that is there stays as it is


@dataclass(frozen=True)
class Alert:
    """An alert as it stands; times are epoch ms, None: has not happened."""

    alert_id: int
    kind: str
    subject: str
    detail: str
    first: int
    at: int
    times: int
    acknowledged: int | None
    acknowledged_by: str | None
    cleared: int | None


def raise_alert(cursor: database.Cursor, kind: str, subject: str, detail: str) -> None:
    """Raise an alert; one of the same kind and subject gets the new time and detail, and is counted.

    One that was acknowledged stays so; one that had cleared is open anew.
    """
    cursor.execute(_RAISE, _values(kind, subject, detail))


def raise_once(cursor: database.Cursor, kind: str, subject: str, detail: str) -> None:
    """Raise an alert, unless there is one of the same kind and subject, which stays as it is."""
    values = _values(kind, subject, detail)
    # Mostly there is one: asked first, so that no number of a row is used up.
    cursor.execute("SELECT FROM alert WHERE kind = %(kind)s AND subject = %(subject)s", values)
    if cursor.fetchone() is None:
        cursor.execute(_RAISE + _ONCE, values)


def clear(cursor: database.Cursor, kind: str, subject: str) -> None:
    """Say that what an alert tells of is over."""
    cursor.execute(
        "UPDATE alert SET cleared_ms = %s WHERE kind = %s AND subject = %s AND cleared_ms IS NULL",
        [clock.now_ms(), kind, storable(subject, _MAX_SUBJECT)],
    )


def tidy() -> None:
    """Clear alerts that were not raised for as long as their kind says; forget what was over long ago."""
    now = clock.now_ms()
    with database.transaction() as cursor:
        for kind, quiet_s in KINDS.items():
            if quiet_s is not None:
                cursor.execute(
                    "UPDATE alert SET cleared_ms = %s WHERE cleared_ms IS NULL AND kind = %s AND at_ms < %s",
                    [now, kind, now - quiet_s * 1000],
                )
        cursor.execute(
            "DELETE FROM alert WHERE alert_id IN (SELECT alert_id FROM alert WHERE at_ms < %(before)s"
            " AND (cleared_ms < %(before)s OR acknowledged_ms < %(before)s) ORDER BY at_ms LIMIT %(most)s)",
            {"before": now - _KEPT_MS, "most": _AT_A_TIME},
        )


def acknowledge(alert_id: int, by: str) -> Alert:
    """Have an alert count as seen by somebody; again: nothing changes. Raises NotFoundError."""
    with database.transaction() as cursor:
        cursor.execute(
            f"UPDATE alert SET acknowledged_ms = %s, acknowledged_by = %s"  # noqa: S608 - own words
            f" WHERE alert_id = %s AND {_IS_OPEN} RETURNING kind, subject",
            [clock.now_ms(), by, alert_id],
        )
        row = cursor.fetchone()
        if row is not None:
            audit.write(cursor, audit.ADMINISTRATION, by, f"{row.kind}: {row.subject}", "acknowledged")
        cursor.execute(_SELECT + " WHERE alert_id = %s", [alert_id])
        found = cursor.fetchone()
    if found is None:
        raise NotFoundError("There is no such alert.")
    return Alert(*found)


def open_by_kind(cursor: database.Cursor) -> dict[str, int]:
    """Return how many alerts of each kind are open."""
    cursor.execute(f"SELECT kind, count(*) AS alerts FROM alert WHERE {_IS_OPEN} GROUP BY kind")  # noqa: S608
    return {row.kind: row.alerts for row in cursor.fetchall()}


_SELECT = (
    "SELECT alert_id, kind, subject, detail, first_ms AS first, at_ms AS at, times,"
    " acknowledged_ms AS acknowledged, acknowledged_by, cleared_ms AS cleared FROM alert"
)


def list_alerts(page: Page, state: str = OPEN) -> Listing[Alert]:
    """Return the alerts that are open, or all, those that were raised last first."""
    where = f" WHERE {_IS_OPEN}" if state == OPEN else ""
    with database.transaction() as cursor:
        cursor.execute(f"SELECT count(*) AS total FROM alert{where}")  # noqa: S608 - own words
        total = cursor.fetchone().total
        cursor.execute(
            f"{_SELECT}{where} ORDER BY at_ms DESC, alert_id DESC LIMIT %s OFFSET %s",
            [page.limit, page.offset],
        )
        rows = [Alert(*row) for row in cursor.fetchall()]
    return Listing(rows, total)


def _values(kind: str, subject: str, detail: str) -> dict[str, Any]:
    return {
        "at": clock.now_ms(),
        "kind": kind,
        "subject": storable(subject, _MAX_SUBJECT),
        "detail": storable(detail, _MAX_DETAIL),
    }
