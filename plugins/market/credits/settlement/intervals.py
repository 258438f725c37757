"""Settlements and the trial balance, as they are shown."""

from __future__ import annotations

from typing import Any

from market.kit import database
from market.kit.database import Cursor
from market.kit.errors import NotFoundError
from market.kit.money import format_credits
from market.kit.paging import Listing, Page
from market.kit.vocabulary import SETTLEMENT_STEPS

ORDER_BY = ("interval_id", "since", "until", "rate", "captured")
_COLUMNS = {
    "": "interval_id",
    "interval_id": "interval_id",
    "since": "from_ms",
    "until": "until_ms",
    "rate": "rate_micro",
    "captured": "captured_ucr",
}


def list_settlements(page: Page) -> Listing[dict[str, Any]]:
    """Return a page of settled intervals, newest first unless it says otherwise."""
    direction = "DESC NULLS LAST" if page.descending else "ASC NULLS FIRST"
    with database.transaction() as cursor:
        cursor.execute("SELECT count(*) AS total FROM settlement")
        total = cursor.fetchone().total
        cursor.execute(
            "SELECT * FROM settlement_summary"  # noqa: S608
            f" ORDER BY {_COLUMNS[page.order_by]} {direction}, interval_id {direction} LIMIT %s OFFSET %s",
            [page.limit, page.offset],
        )
        return Listing(rows=[_settlement(row) for row in cursor.fetchall()], total=total)


def settlement(interval_id: int) -> dict[str, Any]:
    """Return one settled interval, with the figures that its rate follows from. Raises NotFoundError."""
    with database.transaction() as cursor:
        cursor.execute("SELECT * FROM settlement_summary WHERE interval_id = %s", [interval_id])
        row = cursor.fetchone()
        if row is None:
            raise NotFoundError("There is no such settlement.")
        cursor.execute(
            "SELECT s.fee_micro, s.target_micro, t.error_micro, t.x_micro, ARRAY("
            "   SELECT step FROM settlement_step d WHERE d.interval_id = s.interval_id"
            "   ORDER BY array_position(%s, step)"
            " ) AS steps FROM settlement s LEFT JOIN rate_tick t USING (interval_id)"
            " WHERE s.interval_id = %s",
            [list(SETTLEMENT_STEPS), interval_id],
        )
        more = cursor.fetchone()
    return _settlement(row) | {
        "fee_share": format_credits(more.fee_micro),
        "target": format_credits(more.target_micro),
        "error": _figure(more.error_micro),
        "error_sum": _figure(more.x_micro),
        "steps": list(more.steps),
    }


def trial_balance(cursor: Cursor) -> dict[str, Any]:
    """Return the balance of every account, and their sum, zero: the market's own, members', projects'."""
    # One statement, so that no posting comes between two of its lines.
    cursor.execute(
        "SELECT * FROM (SELECT account AS name, NULL AS user_id, balance_ucr, 1 AS place FROM system_account"
        " UNION ALL SELECT coalesce(m.username, 'project:' || p.name), m.user_id::text,"
        " granted_ucr + shared_ucr + transferred_ucr - used_ucr, CASE WHEN p.name IS NULL THEN 2 ELSE 3 END"
        " FROM account a LEFT JOIN member m ON m.user_id = a.member_id"
        " LEFT JOIN project p ON p.project_id = a.project_id) line ORDER BY place, name"
    )
    lines = [(row.name, row.user_id, int(row.balance_ucr)) for row in cursor.fetchall()]
    return {
        "accounts": [
            {"account": name, "user_id": user_id, "balance": format_credits(ucr)}
            for name, user_id, ucr in lines
        ],
        "sum": format_credits(sum(ucr for _, _, ucr in lines)),
    }


def _settlement(row: Any) -> dict[str, Any]:
    return {
        "interval_id": row.interval_id,
        "since": row.from_ms,
        "until": row.until_ms,
        "rate": _figure(row.rate_micro),
        "utilisation": _figure(row.utilisation_micro),
        "captured": format_credits(row.captured_ucr),
        "fee": format_credits(row.fee_ucr),
        "paid": format_credits(row.paid_ucr),
        "paid_to_lenders": format_credits(row.lenders_ucr),
        "paid_to_treasury": format_credits(row.paid_ucr - row.lenders_ucr),
        "stipend": format_credits(row.stipend_ucr),
        "refunded": format_credits(row.refunded_ucr),
        "returned": format_credits(row.returned_ucr),
        "rows": row.row_count,
        "seal": bytes(row.sha256).hex() if row.sha256 is not None else None,
    }


def _figure(micro: int | None) -> str | None:
    return None if micro is None else format_credits(micro)
