"""What the database tells of the market. Each query reads what is open, or new, and no history.

What began or ended is counted from the start of this process, as Prometheus expects of counters. It is
counted two minutes late, since the watch writes a start down some seconds after it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from market.jobs import store
from market.jobs.life import waiting
from market.kit import alerts, database, settings
from market.kit.clock import now_ms
from market.kit.database import Cursor
from market.kit.patience import Patience
from market.machines import supply
from market.web.api.metrics.exposition import COUNTER, GAUGE, Family, Histogram, Sample, gauge

_LATE_MS = 120_000
_DAY_MS = 86_400_000
_MOST_NEW = 10_000  # jobs of one look
_LOOKED_AT = 20  # of the jobs that wait, the oldest
_OTHER = "other"  # of a type that the settings do not name any more: so labels stay few
# Nobody waits for the figures as long as for a page.
_PATIENCE = Patience(statement_s=3, lock_s=1, idle_s=5)
_BOUNDS_S = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 86400)

OPEN_JOBS = """
    SELECT status, machine_type, count(*) AS jobs,
           min(added_ms) FILTER (WHERE started_ms IS NULL) AS oldest_ms
    FROM job WHERE ended_ms IS NULL GROUP BY 1, 2
"""
STARTED = """
    SELECT started_ms - added_ms AS waited_ms FROM job
    WHERE started_ms > %(since)s AND started_ms <= %(until)s ORDER BY started_ms LIMIT %(most)s
"""
ENDED = """
    SELECT status, machine_type, count(*) AS jobs
    FROM (SELECT status, machine_type FROM job
          WHERE ended_ms > %(since)s AND ended_ms <= %(until)s LIMIT %(most)s) j
    GROUP BY 1, 2
"""
WAITING = """
    SELECT job_id FROM job WHERE ended_ms IS NULL AND started_ms IS NULL ORDER BY added_ms LIMIT %(most)s
"""
HOLDS = """
    SELECT count(*) AS holds, coalesce(sum(h.amount_ucr - h.captured_ucr - h.released_ucr), 0) AS held_ucr,
           min(j.ended_ms) AS ended_ms
    FROM hold h JOIN job j USING (job_id) WHERE h.closed_ms IS NULL
"""
MACHINES = """
    SELECT state, machine_type, count(*) AS machines FROM machine
    WHERE state IN ('offered', 'joining', 'active', 'draining', 'resting', 'lost') GROUP BY 1, 2
"""
METER = """
    SELECT (SELECT at_ms FROM meter_mark) AS mark_ms,
           (SELECT max(until_ms) FROM settlement) AS settled_ms,
           (SELECT count(*) FROM meter_gap WHERE from_ms > %(day)s) AS gaps,
           (SELECT coalesce(sum(to_ms - from_ms), 0) FROM meter_gap WHERE from_ms > %(day)s) AS gap_ms,
           (SELECT wrong FROM ledger_check ORDER BY at_ms DESC LIMIT 1) AS wrong,
           (SELECT max(at_ms) FROM ledger_check) AS checked_ms,
           (SELECT began_ms FROM ledger_look WHERE ended_ms IS NOT NULL
            ORDER BY look_id DESC LIMIT 1) AS looked_ms,
           (SELECT wrong FROM ledger_look ORDER BY look_id DESC LIMIT 1) AS look_wrong,
           (SELECT count(*) FROM unsealed) AS unsealed
"""
SETBACKS = "SELECT count(*) AS things, coalesce(sum(failures), 0) AS failures FROM setback WHERE failures > 0"
ARCHIVE = "SELECT failed_count, extract(epoch FROM now() - last_archived_time) AS age_s FROM pg_stat_archiver"


class Rows:
    """The families that the database tells; it remembers up to when jobs were counted."""

    def __init__(self) -> None:
        self._until_ms = now_ms() - _LATE_MS
        self._waits = Histogram(_BOUNDS_S)
        self._ended: Counter[tuple[str, str]] = Counter()

    def families(self) -> list[Family]:
        """Read all of it in one short transaction. Raises BusyError, psycopg2.OperationalError."""
        now = now_ms()
        parts: tuple[Callable[[Cursor, int], Iterator[Family]], ...] = (
            _jobs,
            _ledger,
            _machines,
            _alerts,
            self._counted,
        )
        with database.transaction(_PATIENCE) as cursor:
            found = [family for part in parts for family in part(cursor, now)]
            cursor.execute(WAITING, {"most": _LOOKED_AT})
            oldest = [row.job_id for row in cursor.fetchall()]
        return [*found, _waits(oldest)]

    def _counted(self, cursor: Cursor, now: int) -> Iterator[Family]:
        window = {"since": self._until_ms, "until": now - _LATE_MS, "most": _MOST_NEW}
        cursor.execute(STARTED, window)
        for row in cursor.fetchall():
            self._waits.add(max(0, row.waited_ms) / 1000)
        cursor.execute(ENDED, window)
        for row in cursor.fetchall():
            self._ended[row.status, _type(row.machine_type)] += row.jobs
        self._until_ms = max(self._until_ms, window["until"])
        yield self._waits.family(
            "market_job_submit_to_run_seconds", "From a job's submission until its driver ran."
        )
        yield Family(
            "market_jobs_ended_total",
            COUNTER,
            "Jobs that have ended, by status and type of machines.",
            _by_two("status", self._ended),
        )


def _jobs(cursor: Cursor, now: int) -> Iterator[Family]:
    cursor.execute(OPEN_JOBS)
    counts: Counter[tuple[str, str]] = Counter()
    ages = dict.fromkeys(settings.load().types, 0.0)
    for row in cursor.fetchall():
        kind = _type(row.machine_type)
        counts[row.status, kind] += row.jobs
        if row.oldest_ms is not None:
            ages[kind] = max(ages.get(kind, 0.0), (now - row.oldest_ms) / 1000)
    yield Family("market_jobs", GAUGE, "Jobs that have not ended.", _by_two("status", counts))
    yield Family(
        "market_queue_age_seconds",
        GAUGE,
        "For how long the oldest job waits that has not run.",
        [Sample(age, {"type": kind}) for kind, age in ages.items()],
    )


def _ledger(cursor: Cursor, now: int) -> Iterator[Family]:
    cursor.execute(HOLDS)
    holds = cursor.fetchone()
    yield gauge("market_holds", "Holds that are open.", holds.holds)
    yield gauge("market_held_credits", "Credits in open holds.", int(holds.held_ucr) / 1_000_000)
    yield gauge(
        "market_hold_lag_seconds", "Since the oldest job ended whose hold is open.", _age(now, holds.ended_ms)
    )
    cursor.execute(METER, {"day": now - _DAY_MS})
    row = cursor.fetchone()
    yield gauge("market_meter_lag_seconds", "Since the meter's last whole poll.", _age(now, row.mark_ms))
    yield gauge(
        "market_settlement_lag_seconds", "Since the end of what is settled.", _age(now, row.settled_ms)
    )
    yield gauge("market_meter_gaps", "Times in the last day in which the meter did not look.", row.gaps)
    yield gauge("market_meter_gap_seconds", "How long these were together.", int(row.gap_ms) / 1000)
    yield gauge("market_ledger_wrong_rows", "What the last look at the whole ledger found.", row.wrong or 0)
    yield Family(
        "market_ledger_verified_age_seconds",
        GAUGE,
        "Since the last look began that has ended: at what was sealed since (new), at everything (whole).",
        [
            Sample(_age(now, at_ms), {"look": look})
            for look, at_ms in (("new", _later(row.looked_ms, row.checked_ms)), ("whole", row.checked_ms))
            if at_ms is not None
        ],
    )
    yield gauge(
        "market_ledger_look_wrong_rows", "What the market's own last look found so far.", row.look_wrong or 0
    )
    yield gauge("market_unsealed_postings", "Postings that no seal covers yet.", row.unsealed)
    cursor.execute(SETBACKS)
    setbacks = cursor.fetchone()
    yield gauge("market_setbacks", "Things that failed in a pass and are tried again.", setbacks.things)
    yield gauge("market_setback_failures", "How often these have failed.", int(setbacks.failures))
    cursor.execute(ARCHIVE)
    archive = cursor.fetchone()
    yield Family(
        "market_wal_archive_failures_total",
        COUNTER,
        "How often the database's log could not be copied to the folder of backups.",
        [Sample(int(archive.failed_count))],
    )
    if archive.age_s is not None:
        yield gauge("market_wal_archived_age_seconds", "Since it was copied last.", float(archive.age_s))


def _machines(cursor: Cursor, now: int) -> Iterator[Family]:
    cursor.execute(MACHINES)
    counts: Counter[tuple[str, str]] = Counter()
    for row in cursor.fetchall():
        counts[row.state, _type(row.machine_type)] += row.machines
    yield Family("market_machines", GAUGE, "Machines that are lent, by state.", _by_two("state", counts))


def _alerts(cursor: Cursor, now: int) -> Iterator[Family]:
    counts = alerts.open_by_kind(cursor)
    yield Family(
        "market_alerts",
        GAUGE,
        "Alerts that nobody has acknowledged and that have not cleared, by kind.",
        [Sample(counts.get(kind, 0), {"kind": kind}) for kind in alerts.KINDS],
    )


def _waits(jobs: list[str]) -> Family:
    codes: Counter[str] = Counter()
    for job_id in jobs:
        job = store.find(job_id)
        told = waiting.why(job, supply.of) if job else None
        if told is not None:
            codes[told["code"]] += 1
    return Family(
        "market_job_waits",
        GAUGE,
        f"Why jobs wait: of the {_LOOKED_AT} that wait longest.",
        [Sample(count, {"code": code}) for code, count in sorted(codes.items())],
    )


def _by_two(first: str, counts: Counter[tuple[str, str]]) -> list[Sample]:
    return [Sample(count, {first: one, "type": kind}) for (one, kind), count in sorted(counts.items())]


def _type(name: str) -> str:
    return name if name in settings.load().types or name == "pool" else _OTHER


def _later(*times: int | None) -> int | None:
    """Return the latest of some times; None: there is none."""
    return max((at_ms for at_ms in times if at_ms is not None), default=None)


def _age(now: int, at_ms: Any) -> float:
    return 0.0 if at_ms is None else max(0, now - at_ms) / 1000
