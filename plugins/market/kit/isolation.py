"""A pass over many things, each by itself: what one of them is or says stops the work on no other.

A thing that fails is tried again later and later. After some failures it is given up: an alert says so, and
it is tried once a day, in case that the fault was ours and has been mended. The count is in the table
`setback`, so it outlives the process.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import psycopg2

from market.kit import alerts, database
from market.kit.clock import now_ms
from market.kit.database import Cursor
from market.kit.errors import MarketError, UnavailableError
from market.kit.text import storable

log = logging.getLogger(__name__)

T = TypeVar("T")
Errors = tuple[type[BaseException], ...]

MOST_FAILURES = 5
_FIRST_WAIT_MS, _GROWS = 5_000, 4
_GIVEN_UP_WAIT_MS = 86_400_000
_AWAY_WAIT_MS = 15_000
_AWAY_AT_MOST = 3  # things that a service which does not answer is asked for in one pass
_FORGOTTEN_MS = 7 * 86_400_000
_MAX_SUBJECT, _MAX_DETAIL = 300, 500
# The database itself: nothing can be done, or counted, without it.
_DATABASE_AWAY: Errors = (psycopg2.OperationalError, psycopg2.InterfaceError)


def due(subject: str) -> str:
    """Return a condition for the query that chooses the things of a work: that a thing is not put off.

    So those take no place in a batch. `subject` is what names the thing, in SQL; the condition's parameters
    are the work's name and the time in epoch ms.
    """
    return f"NOT EXISTS (SELECT FROM setback WHERE work = %s AND subject = {subject} AND next_ms > %s)"


def each(
    work: str,
    things: Iterable[T],
    do: Callable[[T], object],
    name: Callable[[T], str],
    conclude: Callable[[T, str], object] | None = None,
    ends: Errors = (),
) -> None:
    """Do something with each thing; `name` tells them apart, within the work and over processes.

    `conclude` is called instead of a further try when a thing is given up, with the last error in words; then
    nothing more is remembered of it. Errors of the types `ends`, and those of the database, end the pass.

    An UnavailableError counts as the thing's own failure only where the pass got through with another. If it
    did with none, the service is away: the pass ends soon, and raises it.
    """
    memory = _Memory(work)
    away: list[tuple[T, str]] = []
    last: UnavailableError | None = None
    got_through = False
    for thing in things:
        subject = _subject(name(thing))
        if memory.puts_off(subject):
            continue
        try:
            do(thing)
        except (*ends, *_DATABASE_AWAY):
            raise
        except UnavailableError as error:
            last = error
            away.append((thing, subject))
            if len(away) >= _AWAY_AT_MOST and not got_through:
                break
        except Exception as error:
            _count(memory, thing, subject, error, conclude)
        else:
            got_through = True
            memory.forget(subject)
    for thing, subject in away:
        if got_through and last:
            _count(memory, thing, subject, last, conclude)
        else:
            memory.postpone(subject)
    if last and not got_through:
        raise last


def each_within(
    cursor: Cursor,
    work: str,
    things: Sequence[T],
    do: Callable[[T], object],
    name: Callable[[T], str],
    conclude: Callable[[T, str], object] | None = None,
) -> None:
    """Do something with each thing, as `each`, but all in the caller's transaction.

    First with all of them at once. If that fails it is undone, and done one by one: so `do` is called again
    for some, and must have no effect outside the transaction that may not come twice.
    """
    memory = _Memory(work, cursor)
    due = [thing for thing in things if not memory.puts_off(_subject(name(thing)))]
    if _tried(cursor, lambda: [do(thing) for thing in due]) is None:
        for thing in due:
            memory.forget(_subject(name(thing)))
        return
    for thing in due:
        subject = _subject(name(thing))
        error = _tried(cursor, lambda thing=thing: do(thing))  # type: ignore[misc]
        if error is None:
            memory.forget(subject)
        elif memory.count(subject, error) and conclude is not None:
            failed = _tried(cursor, lambda thing=thing, error=error: conclude(thing, _words(error)))  # type: ignore[misc]
            if failed is None:
                memory.forget(subject)


def guarded(work: str, subject: str, do: Callable[[], T], otherwise: T, ends: Errors = ()) -> T:
    """Return what a function returns; `otherwise` where it fails, or is put off after having failed.

    For a part of some work that can do without it. Errors of the types `ends`, and the database's, pass.
    """
    found = [otherwise]

    def keep(_: str) -> None:
        found[0] = do()

    try:
        each(work, [subject], keep, str, ends=ends)
    except UnavailableError as error:
        if isinstance(error, ends):
            raise
    return found[0]


def forget_old() -> None:
    """Delete what is remembered of things that nothing has been tried with for a week: they are gone."""
    with database.transaction() as cursor:
        cursor.execute("DELETE FROM setback WHERE next_ms < %s", [now_ms() - _FORGOTTEN_MS])


def _count(
    memory: _Memory, thing: T, subject: str, error: Exception, conclude: Callable[[T, str], object] | None
) -> None:
    if memory.count(subject, error) and conclude is not None:
        try:
            conclude(thing, _words(error))
        except _DATABASE_AWAY:
            raise
        except Exception:
            log.exception("%s of %s could not be concluded", memory.work, subject)
        else:
            memory.forget(subject)


def _tried(cursor: Cursor, do: Callable[[], object]) -> Exception | None:
    """Do something in a savepoint; return why it failed, with all of it undone."""
    cursor.execute("SAVEPOINT one_of_many")
    try:
        do()
    except _DATABASE_AWAY:
        raise
    except Exception as error:
        cursor.execute("ROLLBACK TO SAVEPOINT one_of_many")
        return error
    cursor.execute("RELEASE SAVEPOINT one_of_many")
    return None


class _Memory:
    """What is remembered of a work's things that failed; written with `cursor`, if one is given."""

    def __init__(self, work: str, cursor: Cursor | None = None) -> None:
        self.work = work
        self._cursor = cursor
        self._known: dict[str, int] = {}  # by subject: not again before
        self._run("SELECT subject, next_ms FROM setback WHERE work = %s", [work], self._learn)

    def _learn(self, cursor: Cursor) -> None:
        self._known = {row.subject: row.next_ms for row in cursor.fetchall()}

    def puts_off(self, subject: str) -> bool:
        """Tell whether it is not the time yet to try a thing again."""
        return self._known.get(subject, 0) > now_ms()

    def forget(self, subject: str) -> None:
        """Forget that a thing failed: it works."""
        if self._known.pop(subject, None) is not None:
            self._run("DELETE FROM setback WHERE work = %s AND subject = %s", [self.work, subject])

    def postpone(self, subject: str) -> None:
        """Leave a thing for a moment, through no fault of its own."""
        self._run(
            "INSERT INTO setback (work, subject, failures, next_ms, detail) VALUES (%s, %s, 0, %s, '')"
            " ON CONFLICT (work, subject) DO UPDATE SET next_ms = excluded.next_ms",
            [self.work, subject, now_ms() + _AWAY_WAIT_MS],
        )

    def count(self, subject: str, error: Exception) -> bool:
        """Count a failure; tell whether the thing is given up by now."""
        at_ms, words = now_ms(), _words(error)
        failures = 0

        def read(cursor: Cursor) -> None:
            nonlocal failures
            failures = cursor.fetchone().failures

        # Each wait is four times as long as the one before it.
        self._run(
            "INSERT INTO setback AS s (work, subject, failures, next_ms, detail) VALUES (%s, %s, 1, %s, %s)"
            " ON CONFLICT (work, subject) DO UPDATE SET failures = s.failures + 1, detail = excluded.detail,"
            "  next_ms = %s + CASE WHEN s.failures + 1 >= %s THEN %s ELSE %s * (%s ^ s.failures)::bigint END"
            " RETURNING failures",
            [
                *(self.work, subject, at_ms + _FIRST_WAIT_MS, words),
                *(at_ms, MOST_FAILURES, _GIVEN_UP_WAIT_MS, _FIRST_WAIT_MS, _GROWS),
            ],
            read,
        )
        if not isinstance(error, MarketError) and failures <= 1:  # nobody foresaw it: where, says the trace
            log.error("%s of %s failed", self.work, subject, exc_info=error)
        else:
            log.warning("%s of %s failed %d times: %s", self.work, subject, failures, words)
        if failures >= MOST_FAILURES:
            self._run_with(lambda cursor: self._alert(cursor, subject, words))
        self._known[subject] = at_ms
        return failures >= MOST_FAILURES

    def _alert(self, cursor: Cursor, subject: str, words: str) -> None:
        """Raise one alert for each work: a person who makes a thousand bad things fills no page with them."""
        detail = f"{subject} failed {MOST_FAILURES} times or more, at last with: {words}. It is given up."
        alerts.raise_alert(cursor, alerts.GIVEN_UP, self.work, detail)

    def _run(
        self, statement: str, values: list[object], read: Callable[[Cursor], None] = lambda _: None
    ) -> None:
        def run(cursor: Cursor) -> None:
            cursor.execute(statement, values)
            read(cursor)

        self._run_with(run)

    def _run_with(self, run: Callable[[Cursor], None]) -> None:
        if self._cursor is not None:
            run(self._cursor)
        else:
            with database.transaction() as cursor:
                run(cursor)


def _subject(name: str) -> str:
    return storable(name, _MAX_SUBJECT)


def _words(error: Exception) -> str:
    said = error.detail if isinstance(error, MarketError) else f"{type(error).__name__}: {error}"
    return storable(said, _MAX_DETAIL)
