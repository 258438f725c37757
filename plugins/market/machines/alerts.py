"""Alerts: what an operator should know of, once for each subject."""

from __future__ import annotations

from typing import Any

from market.kit import clock, database
from market.kit.paging import Listing, Page

UNREGISTERED_NODE = "unregistered_node"
WRONG_SIZE = "wrong_size"
POOR_MACHINE = "poor_machine"


def raise_alert(cursor: database.Cursor, kind: str, subject: str, detail: str) -> None:
    """Raise an alert; one of the same kind and subject gets the new time and detail."""
    cursor.execute(
        "INSERT INTO alert (at_ms, kind, subject, detail) VALUES (%s, %s, %s, %s)"
        " ON CONFLICT (kind, subject) DO UPDATE SET at_ms = excluded.at_ms, detail = excluded.detail",
        [clock.now_ms(), kind, subject, detail],
    )


def list_alerts(page: Page) -> Listing[dict[str, Any]]:
    """Return alerts, newest first."""
    with database.transaction() as cursor:
        cursor.execute("SELECT count(*) AS total FROM alert")
        total = cursor.fetchone().total
        cursor.execute(
            "SELECT at_ms, kind, subject, detail FROM alert ORDER BY at_ms DESC, alert_id DESC"
            " LIMIT %s OFFSET %s",
            [page.limit, page.offset],
        )
        rows = [
            {"at": row.at_ms, "kind": row.kind, "subject": row.subject, "detail": row.detail}
            for row in cursor.fetchall()
        ]
    return Listing(rows, total)
