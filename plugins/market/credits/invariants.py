"""Whether the ledger adds up, by the queries of `sql/invariants/`, and whether it is as it was sealed."""

from __future__ import annotations

from dataclasses import dataclass

from market.kit.database import Cursor


@dataclass(frozen=True)
class LedgerCheck:
    """A check of the whole ledger: when, of how many sealed rows, and how many were wrong."""

    at_ms: int
    row_count: int
    wrong: int


@dataclass(frozen=True)
class Broken:
    """A row that breaks an invariant, and how."""

    invariant: str
    subject: str
    detail: str


def check(cursor: Cursor, only_new: bool = False) -> list[str]:
    """Return a line for each row that breaks an invariant; none if all is well: see `broken`."""
    return [f"{row.invariant}: {row.subject}: {row.detail}" for row in broken(cursor, only_new)]


def broken(cursor: Cursor, only_new: bool = False) -> list[Broken]:
    """Return the rows that break an invariant.

    Reads the whole ledger, or with `only_new` what is newer than the last seal, and the sums over everything.
    That takes time in proportion to what is new; a settlement does it before each seal.
    """
    cursor.execute("SELECT invariant, subject, detail FROM violations(%s)", [only_new])
    return [Broken(*row) for row in cursor.fetchall()]


def check_seals(cursor: Cursor, after: int = 0, until: int | None = None) -> list[str]:
    """Return a line for each row of a closed interval that is not as it was sealed.

    Recomputes the seals of the intervals behind `after` up to `until`; by default of all, in one statement.
    """
    cursor.execute(
        "SELECT seal_line(interval_id, kind, key, problem) AS line"
        " FROM verify_intervals(%s, coalesce(%s, last_sealed()))",
        [after, until],
    )
    return [row.line for row in cursor.fetchall()]


def record(cursor: Cursor, done: LedgerCheck) -> None:
    """Write down a check of the whole ledger."""
    cursor.execute(
        "INSERT INTO ledger_check VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
        [done.at_ms, done.row_count, done.wrong],
    )


def last_check(cursor: Cursor) -> LedgerCheck | None:
    """Return the last check of the whole ledger; None if there was none."""
    cursor.execute("SELECT at_ms, row_count, wrong FROM ledger_check ORDER BY at_ms DESC LIMIT 1")
    row = cursor.fetchone()
    return LedgerCheck(**row._asdict()) if row else None
