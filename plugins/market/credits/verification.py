"""Looks at what was sealed that the market takes by itself: at what is new, and now and then at everything.

A look goes through the intervals piece by piece, each piece in a transaction of its own that also notes how
far it came: one that was killed goes on there. Only SQL functions write that down
(`sql/functions/13_verify.sql`), in the transaction that compares. After a look in which something did not fit
the next one is at everything, and the alert stays until one at everything finds nothing.

Whoever owns the database can forge where a look begins: what lies before it is found by the look at
everything, whose time he can forge as well, so `./market ledger verify` trusts none of it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from market.credits import invariants, seal_log
from market.kit import alerts, database, settings
from market.kit.clock import now_ms
from market.kit.database import Cursor
from market.kit.patience import SETTLEMENT, WHOLE_LEDGER

SUBJECT = "verification"  # of the alert
_WORKS_S = 30.0  # of one pass: then others of the triggerer have their turn
_LOOK = (
    "SELECT whole, began_ms, after_interval, until_interval, reached, row_count, wrong, named, ended_ms"
    " FROM ledger_look"
)


@dataclass(frozen=True)
class Look:
    """A look at the intervals behind `after_interval`, as far as it has come; times are epoch ms.

    `wrong` counts what does not fit, `named` has the first of it in words.
    """

    whole: bool
    began_ms: int
    after_interval: int
    until_interval: int
    reached: int
    row_count: int
    wrong: int
    named: list[str]
    ended_ms: int | None


def run_pass() -> None:
    """Begin a look if one is due, and go on with the open one for some seconds; for the loop that does so.

    Raises BusyError when one piece takes longer than the database allows; the next pass tries it again.
    """
    until = time.monotonic() + _WORKS_S
    while _go_on() and time.monotonic() < until:
        pass


def pieces() -> Iterator[tuple[int, int, list[str]]]:
    """Compare all that was sealed, whatever earlier looks found; yield after each piece.

    What is yielded: the last interval that was compared, the last one of all, and a line for each row that is
    not as it was sealed. Each piece has a snapshot of its own, as closed intervals do not change.
    """
    with database.transaction() as cursor:
        cursor.execute("SELECT last_sealed() AS last")
        last = int(cursor.fetchone().last)
    reached = 0
    while reached < last:
        with database.transaction(SETTLEMENT) as cursor:
            cursor.execute("SELECT look_until(%s, %s) AS upto", [reached, last])
            upto = int(cursor.fetchone().upto)
            found = invariants.check_seals(cursor, reached, upto)
        reached = upto
        yield reached, last, found


def open_look(cursor: Cursor) -> Look | None:
    """Return the look that goes on; None: there is none."""
    cursor.execute(f"{_LOOK} WHERE ended_ms IS NULL")
    row = cursor.fetchone()
    return Look(*row) if row else None


def last_look(cursor: Cursor, whole: bool = False) -> Look | None:
    """Return the last look that has ended, with `whole` the last one at everything; None: there was none."""
    only = "AND whole" if whole else ""
    cursor.execute(f"{_LOOK} WHERE ended_ms IS NOT NULL {only} ORDER BY look_id DESC LIMIT 1")
    row = cursor.fetchone()
    return Look(*row) if row else None


def _go_on() -> bool:
    """Do one piece of work; tell whether there is another."""
    with database.transaction() as cursor:
        look = open_look(cursor)
        if look is None:
            everything = _due(cursor)
            if everything is None:
                return False
            cursor.execute("SELECT begin_look(%s)", [everything])
            return True
    if look.reached == look.until_interval:
        _end(look)
        return False
    # The settlement sealed an interval in one statement, and it is compared in one: with the same patience.
    with database.transaction(SETTLEMENT) as cursor:
        cursor.execute("SELECT look_further()")
        _tell(cursor, look, open_look(cursor))
    return True


def _due(cursor: Cursor) -> bool | None:
    """Tell whether a look is due at everything (True) or at what is new (False); None: none is."""
    credits, now = settings.load().credits, now_ms()
    last, whole = last_look(cursor), last_look(cursor, whole=True)
    if not credits.verify_every_s or (last and now < last.began_ms + credits.verify_every_s * 1000):
        return None
    return (
        not last or not whole or last.wrong > 0 or now >= whole.began_ms + credits.verify_whole_every_s * 1000
    )


def _end(look: Look) -> None:
    """End the look; one at everything asks all invariants before, and what was published of the seals."""
    beside: list[str] = []
    if look.whole:
        published = seal_log.read(settings.load().paths.seal_log)
        with database.transaction() as cursor:
            beside = seal_log.differences(cursor, published)
    with database.transaction(WHOLE_LEDGER) as cursor:
        cursor.execute("SELECT end_look(%s::text[])", [beside])
        ended = last_look(cursor)
        _tell(cursor, look, ended)
        if ended and ended.whole and not ended.wrong:
            alerts.clear(cursor, alerts.LEDGER, SUBJECT)


def _tell(cursor: Cursor, before: Look, now: Look | None) -> None:
    """Raise the alert if more was found that does not fit, in the transaction that found it."""
    if now and now.wrong > before.wrong:
        detail = f"{now.wrong} rows do not fit; ./market ledger verify names all of them. The first: "
        alerts.raise_alert(cursor, alerts.LEDGER, SUBJECT, detail + "; ".join(now.named))
