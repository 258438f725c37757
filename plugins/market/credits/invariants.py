"""Whether the ledger adds up: `sql/0008_invariants.sql`, and the seals of `sql/0007_seal.sql`."""

from __future__ import annotations

from market.db import Cursor


def check(cursor: Cursor) -> list[str]:
    """Return a line for each row that breaks an invariant; none if all is well. Reads the whole ledger."""
    cursor.execute("SELECT invariant, subject, detail FROM violations(false)")
    return [f"{row.invariant}: {row.subject}: {row.detail}" for row in cursor.fetchall()]


def check_seals(cursor: Cursor) -> list[str]:
    """Return a line for each row of a closed interval that is not as it was sealed; recomputes all seals."""
    cursor.execute("SELECT interval_id, kind, key, problem FROM verify_ledger()")
    return [
        f"interval {'?' if row.interval_id is None else row.interval_id}: {row.kind} {row.key}: {row.problem}"
        for row in cursor.fetchall()
    ]
