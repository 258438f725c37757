"""The statement of an account: every posting, oldest first, with the balance after it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from typing import Any

from market.kit import database, table
from market.kit.money import format_credits, parse_credits

# Postings of one moment are ordered by their keys: their numbers have another order in each run. Of a return
# each of the two sees his own part: the lender his machine, the payer his job. Of a job it says who submitted
# it and who pays, which are two where a project does; of a transfer the other side's name.
_POSTINGS = """
    SELECT j.at_ms, j.kind, side.amount_ucr, b.job_id, m.machine_id, j.note, b.job_name, m.display_name,
           s.username AS submitter, coalesce(p.name, s.username) AS payer,
           coalesce(o.username, q.name) AS other, side.amount_ucr > 0 AS comes,
           sum(side.amount_ucr) OVER (ORDER BY j.at_ms, j.kind, j.key, side.leg) AS balance_ucr
    FROM (SELECT journal_id, leg, amount_ucr, payer AS other_id FROM transfer
          WHERE payee = %(user)s AND length(payee) = 32
          UNION ALL
          SELECT journal_id, leg, -amount_ucr, payee FROM transfer
          WHERE payer = %(user)s AND length(payer) = 32) side
    JOIN journal j USING (journal_id)
    LEFT JOIN job b ON b.job_id = j.job_id AND (j.kind <> 'return' OR side.amount_ucr > 0)
    LEFT JOIN member s ON s.user_id = b.user_id
    LEFT JOIN project p ON p.project_id = b.project_id
    LEFT JOIN member o ON j.kind = 'transfer' AND o.user_id = side.other_id
    LEFT JOIN project q ON j.kind = 'transfer' AND q.project_id = side.other_id
    LEFT JOIN machine m ON m.machine_id = j.machine_id AND (j.kind <> 'return' OR side.amount_ucr < 0)
    ORDER BY j.at_ms, j.kind, j.key, side.leg
"""
_FIELDS = ("at", "time", "kind", "amount", "balance", "job_id", "machine_id", "note", "payer", "submitter")
_ACCOUNT = "Assets:Market"
# Where credits come from or go to, as an accountant calls it.
OTHER_SIDE = {
    "grant": "Income:Grants",
    "pay": "Income:Lending",
    "stipend": "Income:Stipends",
    "capture": "Expenses:Jobs",
    "refund": "Expenses:Jobs",
    "return": "Expenses:Jobs",
    "transfer": "Equity:Transfers",
}
_LENDERS_RETURN = "Income:Lending"


def statement(user_id: str) -> list[dict[str, Any]]:
    """Return the lines: `at, kind, amount, balance, job_id, machine_id, note`, and `words` for people.

    `user_id` is the account: a member's or a project's. `amount` is negative where it paid. `kind` is grant,
    capture, pay, stipend, refund, transfer, or return: what a lender gives back of a lost attempt, to its
    payer. `payer` and `submitter` are the names of who pays for a job and who submitted it, else null.
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
        "payer": row.payer,
        "submitter": row.submitter,
        "words": _words(row),
    }


def _words(row: Any) -> str:
    job, machine = row.job_name or "a job", row.display_name or "a machine"
    if row.kind == "return":
        return (
            f"Returned: {machine} was lost" if row.amount_ucr < 0 else f"Returned by a lender for job {job}"
        )
    if row.kind == "transfer":
        return f"Transfer {'from' if row.comes else 'to'} {row.other}"
    return {
        "grant": "Credits granted",
        "capture": f"Job {job}",
        "refund": f"Refund for job {job}",
        "pay": f"Jobs on {machine}",
        "stipend": f"Idle time of {machine}",
    }[row.kind]


def as_csv(lines: Sequence[dict[str, Any]]) -> str:
    """Return the statement as CSV with a header; `at` in epoch milliseconds, `time` the same in ISO 8601."""
    rows = [{**line, "time": _iso(line["at"])} for line in lines]
    return table.as_csv(_FIELDS, [[row[name] for name in _FIELDS] for row in rows])


def _iso(at_ms: int) -> str:
    return _time(at_ms).isoformat(timespec="milliseconds").replace("+00:00", "Z")


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
    for name in ("job_id", "machine_id", "payer", "submitter"):
        if line[name]:
            yield f"  {name}: {_quoted(line[name])}"
    yield f"  {_ACCOUNT}  {ucr} UCR"
    other = _LENDERS_RETURN if line["kind"] == "return" and ucr < 0 else OTHER_SIDE[line["kind"]]
    yield f"  {other}  {-ucr} UCR"


def _quoted(text: str) -> str:
    flat = " ".join(text.split())
    return '"' + flat.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _time(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, UTC)
