"""A member's statement: every posting of his account, oldest first, with the balance after it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from typing import Any

from market.kit import database
from market.kit.money import format_credits, parse_credits

# Postings of one moment are ordered by their keys: their numbers have another order in each run.
_POSTINGS = """
    SELECT j.at_ms, j.kind, side.amount_ucr, j.job_id, j.machine_id, j.note, b.job_name, m.display_name,
           sum(side.amount_ucr) OVER (ORDER BY j.at_ms, j.kind, j.key, side.leg) AS balance_ucr
    FROM (SELECT journal_id, leg, amount_ucr FROM transfer WHERE payee = %(user)s AND length(payee) = 32
          UNION ALL
          SELECT journal_id, leg, -amount_ucr FROM transfer
          WHERE payer = %(user)s AND length(payer) = 32) side
    JOIN journal j USING (journal_id)
    LEFT JOIN job b ON b.job_id = j.job_id
    LEFT JOIN machine m ON m.machine_id = j.machine_id
    ORDER BY j.at_ms, j.kind, j.key, side.leg
"""
_FIELDS = ("at", "time", "kind", "amount", "balance", "job_id", "machine_id", "note")
_ACCOUNT = "Assets:Market"
# Where credits come from or go to, as an accountant calls it.
OTHER_SIDE = {
    "grant": "Income:Grants",
    "pay": "Income:Lending",
    "stipend": "Income:Stipends",
    "capture": "Expenses:Jobs",
    "refund": "Expenses:Jobs",
}


def statement(user_id: str) -> list[dict[str, Any]]:
    """Return the lines: `at, kind, amount, balance, job_id, machine_id, note`, and `words` for people.

    `amount` is negative where the member paid. `kind` is grant, capture, pay, stipend or refund.
    """
    with database.transaction() as cursor:
        cursor.execute(_POSTINGS, {"user": user_id})
        return [_line(row) for row in cursor.fetchall()]


def _line(row: Any) -> dict[str, Any]:
    return {
        "at": row.at_ms,
        "kind": row.kind,
        "amount": format_credits(row.amount_ucr),
        "balance": format_credits(int(row.balance_ucr)),
        "job_id": row.job_id,
        "machine_id": row.machine_id,
        "note": row.note,
        "words": _words(row),
    }


def _words(row: Any) -> str:
    job, machine = row.job_name or "a job", row.display_name or "a machine"
    return {
        "grant": "Credits granted",
        "capture": f"Job {job}",
        "refund": f"Refund for job {job}",
        "pay": f"Jobs on {machine}",
        "stipend": f"Idle time of {machine}",
    }[row.kind]


def as_csv(lines: Sequence[dict[str, Any]]) -> str:
    """Return the statement as CSV with a header; `at` in epoch milliseconds, `time` the same in ISO 8601."""
    out = io.StringIO()
    writer = csv.DictWriter(out, _FIELDS, extrasaction="ignore")
    writer.writeheader()
    for line in lines:
        time = _time(line["at"]).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        writer.writerow({**line, "time": time, "note": _harmless(line["note"])})
    return out.getvalue()


def _harmless(note: str) -> str:
    """Return a note that no spreadsheet takes for a formula."""
    return f"'{note}" if note[:1] in ("=", "+", "-", "@", "\t", "\r") else note


def as_beancount(lines: Sequence[dict[str, Any]]) -> str:
    """Return the statement for Beancount: whole micro-credits (UCR), and the balance asserted after each day.

    Decimal places would make Beancount infer a tolerance; with integers it is exact.
    """
    return "\n".join(_beancount(lines)) + "\n"


def _beancount(lines: Sequence[dict[str, Any]]) -> Iterator[str]:
    yield 'option "title" "DistributedMarket"'
    yield "; 1 credit = 1 000 000 UCR; a balance holds at the beginning of its day (UTC)"
    if not lines:
        return
    first = _time(lines[0]["at"]).date()
    for account in (_ACCOUNT, *sorted(set(OTHER_SIDE.values()))):
        yield f"{first} open {account} UCR"
    for day, of_day in groupby(lines, key=lambda line: _time(line["at"]).date()):
        last = None
        for line in of_day:
            yield from _transaction(day, line)
            last = line
        assert last is not None
        yield f"\n{day + timedelta(days=1)} balance {_ACCOUNT}  {parse_credits(last['balance'])} UCR"


def _transaction(day: date, line: dict[str, Any]) -> Iterator[str]:
    ucr = parse_credits(line["amount"])
    yield f"\n{day} * {_quoted(line['words'])} {_quoted(line['note'])}"
    yield f"  at: {line['at']}"
    for name in ("job_id", "machine_id"):
        if line[name]:
            yield f"  {name}: {_quoted(line[name])}"
    yield f"  {_ACCOUNT}  {ucr} UCR"
    yield f"  {OTHER_SIDE[line['kind']]}  {-ucr} UCR"


def _quoted(text: str) -> str:
    flat = " ".join(text.split())
    return '"' + flat.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _time(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, UTC)
