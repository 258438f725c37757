"""What a machine has earned, without adding up its whole life each time.

Payouts, and what was given back of them, are never changed, and come interval by interval: so a sum up to an
interval stays right, and only what came after it is read. Sums are kept with their database's number: after a
restore it is another one.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass

from market.kit import database


@dataclass(frozen=True)
class _Sum:
    """What a machine had earned (micro-credits) up to an interval, in the database with this number."""

    database: int = 0
    interval: int = -1
    earned_ucr: int = 0


_MOST = 20_000  # sums that are kept; a machine whose sum was dropped is added up anew
_sums: OrderedDict[str, _Sum] = OrderedDict()
_lock = threading.Lock()


def earned_ucr(cursor: database.Cursor, machine_id: str) -> int:
    """Return what a machine brought its owner over all settled intervals, in micro-credits.

    What he gave back because it lost an attempt is off it.
    """
    with _lock:
        known = _sums.get(machine_id, _Sum())
    fresh = _continued(cursor, machine_id, known)
    if known.database not in (0, fresh.database):
        fresh = _continued(cursor, machine_id, _Sum())
    with _lock:
        _sums[machine_id] = fresh
        _sums.move_to_end(machine_id)
        while len(_sums) > _MOST:
            _sums.popitem(last=False)
    return fresh.earned_ucr


def _continued(cursor: database.Cursor, machine_id: str, known: _Sum) -> _Sum:
    cursor.execute(
        "SELECT (SELECT oid FROM pg_database WHERE datname = current_database())::bigint AS number,"
        " max(interval_id) AS last, sum(ucr)::bigint AS ucr FROM ("
        "  SELECT interval_id, captured_ucr - fee_ucr + stipend_ucr AS ucr FROM payout"
        "  WHERE machine = %(machine)s"
        "  UNION ALL"
        "  SELECT p.interval_id, -p.amount_ucr FROM repayment p JOIN refund r USING (job_id, attempt)"
        "  WHERE r.machine_id = %(machine)s AND r.return_ucr > 0) part"
        " WHERE interval_id > %(known)s",
        {"machine": machine_id, "known": known.interval},
    )
    row = cursor.fetchone()
    if row.last is None:
        return _Sum(row.number, known.interval, known.earned_ucr)
    return _Sum(row.number, row.last, known.earned_ucr + row.ucr)
