"""`./market ledger verify`: recompute the seals and the invariants, and name every row that does not fit."""

from __future__ import annotations

import argparse
import sys
import time

import psycopg2

from market.cluster.clients import hdfs
from market.cluster.errors import ClusterUnavailable
from market.credits import invariants, seal_log, verification
from market.kit import alerts, database
from market.kit.clock import now_ms
from market.kit.errors import UnavailableError
from market.kit.patience import WHOLE_LEDGER
from market.kit.settings import Settings

_TELLS_EVERY_S = 10.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Take what to do with the ledger."""
    parser.add_argument("action", choices=["verify"], help="look at every row of every closed interval")


def run(settings: Settings, chosen: argparse.Namespace) -> int:
    """Print a line for each row that is not as it should be; return 0 only if there is none.

    The page Operations says when this was last done, and what came out. It begins at zero, whatever the
    market's own looks have noted, and clears their alert if all is well.
    """
    began_ms = now_ms()
    published = seal_log.read(settings.paths.seal_log)
    try:
        wrong = _compare()
        with database.transaction(WHOLE_LEDGER) as cursor:
            # One snapshot for both, whatever is settled meanwhile.
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            beside = invariants.check(cursor) + seal_log.differences(cursor, published)
            cursor.execute("SELECT count(*) AS intervals, coalesce(sum(row_count), 0) AS n FROM seal")
            sealed = cursor.fetchone()
        copied, note = _look_at_copy(settings)
        wrong += _print(beside + copied)
        with database.transaction() as cursor:
            done = invariants.LedgerCheck(at_ms=began_ms, row_count=int(sealed.n), wrong=wrong)
            invariants.record(cursor, done)
            if not wrong:
                alerts.clear(cursor, alerts.LEDGER, verification.SUBJECT)
    except psycopg2.OperationalError:
        raise UnavailableError("the market's database does not answer: start it with ./market up") from None
    print(
        f"{sealed.intervals} intervals with {sealed.n} sealed rows: "
        + (f"{wrong} do not fit" if wrong else "all as they were sealed, and the ledger adds up")
    )
    print(
        f"{len(published.seals)} seals compared with those that were published"
        + "".join(f"; the database was restored {when}" for when in published.restores)
        + note
    )
    return 1 if wrong else 0


def _compare() -> int:
    """Compare all that was sealed, piece by piece; name what does not fit as it is found, and count it."""
    wrong, told = 0, time.monotonic()
    for reached, last, found in verification.pieces():
        wrong += _print(found)
        if time.monotonic() > told + _TELLS_EVERY_S and reached < last:
            print(f"compared up to interval {reached} of {last}", file=sys.stderr)
            told = time.monotonic()
    return wrong


def _print(lines: list[str]) -> int:
    for line in lines:
        print(line)
    return len(lines)


def _look_at_copy(settings: Settings) -> tuple[list[str], str]:
    """Return what is wrong with the copy of the published seals in HDFS, and what to say of it."""
    try:
        return seal_log.copy_differs(settings.paths.seal_log, hdfs()), ""
    except ClusterUnavailable:
        return [], "; HDFS does not answer: the copy there was not compared"
