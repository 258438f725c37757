"""The life of a run and of its job in the database: every change has a time and a reason.

Each function is one transaction under the lock of the job's row, and says whether it changed anything. What a
change leads to is decided in state.py. `tag` names a run, as at YARN.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from market.credits import ledger
from market.jobs import runs
from market.jobs.life.state import End, JobState, RunState, Stop, job_of, latest, may_run_again
from market.kit import database, settings
from market.kit.clock import now_ms
from market.kit.database import Cursor
from market.kit.vocabulary import CANCELLING, ENDED, WAITING

_RUN = "point, attempt, tag, status, since_ms, application_id, reason_code, reason, started_ms, ended_ms"


def record(cursor: Cursor, job_id: str, status: str, reason: str = "", at_ms: int | None = None) -> None:
    """Write down a status in the job's history."""
    cursor.execute(
        "INSERT INTO job_status (job_id, at_ms, status, reason) VALUES (%s, %s, %s, %s)",
        [job_id, at_ms or now_ms(), status, reason],
    )


@database.again
def claim(tag: str) -> bool:
    """Take a run for submission to YARN; False if it is to be stopped, or has ended."""
    with database.transaction() as cursor:
        life = _Life.of_run(cursor, tag)
        run = life.run(tag)
        if run.status == WAITING:
            life.change(replace(run, status="queued", since_ms=now_ms()))
        return run.goes_on


@database.again
def hand_over(tag: str) -> bool:
    """Write down that a run is about to be given to YARN; False if it is to be stopped, or has ended.

    From then on a container of it may turn up, so that it is stopped with YARN, and its hold is given back by
    the settlement, when the meter has looked.
    """
    with database.transaction() as cursor:
        life = _Life.of_run(cursor, tag)
        if life.run(tag).goes_on:
            cursor.execute(
                "INSERT INTO submission (tag, job_id, begun_ms, mode) VALUES (%s, %s, %s, %s)"
                " ON CONFLICT (tag) DO NOTHING",
                [tag, life.job_id, now_ms(), settings.load().protection],
            )
        return life.run(tag).goes_on


@database.again
def submitted(tag: str, application_id: str) -> bool:
    """Store the application of a run; False if it is to be stopped, or has ended."""
    with database.transaction() as cursor:
        life = _Life.of_run(cursor, tag)
        run = life.run(tag)
        if run.application_id is None and run.status not in ENDED:
            life.change(replace(run, application_id=application_id))
        return run.goes_on


@database.again
def move(tag: str, status: str, application_id: str, at_ms: int | None = None) -> bool:
    """Move a run on to `accepted` or `running`; never back. Tell whether it moved."""
    with database.transaction() as cursor:
        life = _Life.of_run(cursor, tag)
        moved = life.run(tag).moved(status, application_id, at_ms or now_ms(), now_ms())
        if moved is not None:
            life.change(moved, at_ms)
        return moved is not None


@database.again
def stop_run(tag: str, reason_code: str, reason: str) -> None:
    """Ask for the end of one run; the others of its job go on."""
    with database.transaction() as cursor:
        life = _Life.of_run(cursor, tag)
        life.change(life.run(tag).stopped(Stop(reason_code, reason), now_ms()))


@database.again
def stop_job(job_id: str, reason_code: str, reason: str, by: str | None = None) -> str:
    """Ask for the end of a job and of all its runs; return the job's status after it.

    What YARN cannot know yet ends at once; an ended one stays as it is.
    """
    stop = Stop(reason_code, reason)
    with database.transaction() as cursor:
        life = _Life(cursor, job_id)
        if life.status in ENDED or life.status == CANCELLING:
            return life.status
        cursor.execute(
            "UPDATE job SET stop_code = %s, stop_reason = %s, cancelled_by = %s WHERE job_id = %s",
            [reason_code, reason, by, job_id],
        )
        life.stop = stop
        for run in latest(life.runs):
            life.put(run.stopped(stop, now_ms()))
        life.follow()
        return life.status


@database.again
def end(tag: str, reported: End) -> bool:
    """Close a run. One that failed waits for another attempt while it has one left. Tell whether it was open.

    Gives back the hold of a job of which nothing was handed to YARN; of others the settlement does.
    """
    with database.transaction() as cursor:
        life = _Life.of_run(cursor, tag)
        before = life.run(tag)
        ended = before.ended(reported, now_ms())
        if ended is None:
            return False
        life.put(ended)
        again = life.stop is None and may_run_again(ended, before.status == CANCELLING, life.most_attempts)
        if again:
            life.put(ended.next_attempt(runs.next_tag(tag, ended.attempt), now_ms()))
        life.follow(ended.ended_ms)
        if again or (ended.status != "succeeded" and life.status not in ENDED):
            words = f"point {ended.point}: {ended.reason}" + (" It runs again." if again else "")
            record(cursor, life.job_id, life.status, words, ended.ended_ms)
        return True


class _Life:
    """A job under the lock of its row, with all its runs. Holds are locked after jobs, everywhere."""

    def __init__(self, cursor: Cursor, job_id: str) -> None:
        self._cursor = cursor
        cursor.execute(
            "SELECT job_id, status, stop_code, stop_reason, spec->'point_retries' AS retries FROM job"
            " WHERE job_id = %s FOR UPDATE",
            [job_id],
        )
        job = cursor.fetchone()
        self.job_id: str = job.job_id
        self.status: str = job.status
        self.stop = Stop(job.stop_code, job.stop_reason) if job.stop_code else None
        self.most_attempts = 1 + int(job.retries or 0)
        cursor.execute(
            f"SELECT {_RUN}, EXISTS (SELECT FROM submission s WHERE s.tag = run.tag) AS handed_over"  # noqa: S608
            " FROM run WHERE job_id = %s",
            [job_id],
        )
        self._runs = {row.tag: RunState(*row) for row in cursor.fetchall()}

    @classmethod
    def of_run(cls, cursor: Cursor, tag: str) -> _Life:
        """Return the job that a run belongs to."""
        return cls(cursor, runs.job_id_of(tag))

    @property
    def runs(self) -> list[RunState]:
        """All runs, of every point and attempt."""
        return list(self._runs.values())

    def run(self, tag: str) -> RunState:
        """Return a run as it stands."""
        return self._runs[tag]

    def change(self, run: RunState, at_ms: int | None = None) -> None:
        """Store a changed run, and what follows from it for the job."""
        self.put(run)
        self.follow(at_ms)

    def put(self, run: RunState) -> None:
        """Store a run that is new or has changed."""
        if self._runs.get(run.tag) == run:
            return
        values = list(_values(run))
        self._cursor.execute(
            f"INSERT INTO run (job_id, {_RUN}) VALUES (%s{', %s' * len(values)})"  # noqa: S608
            " ON CONFLICT (tag) DO UPDATE SET status = excluded.status, since_ms = excluded.since_ms,"
            " application_id = excluded.application_id, reason_code = excluded.reason_code,"
            " reason = excluded.reason, started_ms = excluded.started_ms, ended_ms = excluded.ended_ms",
            [self.job_id, *values],
        )
        self._runs[run.tag] = run

    def follow(self, at_ms: int | None = None) -> None:
        """Store what follows for the job from its runs, and write down a new status."""
        state = job_of(self.runs, self.stop, self.status)
        self._cursor.execute(
            "UPDATE job SET status = %s, reason_code = %s, reason = %s, application_id = %s, started_ms = %s,"
            " ended_ms = greatest(%s, CASE WHEN %s THEN added_ms END) WHERE job_id = %s",
            [*_stored(state), state.ended_ms is not None, self.job_id],
        )
        if state.status == self.status:
            return
        self.status = state.status
        record(self._cursor, self.job_id, state.status, state.reason, state.ended_ms or at_ms)
        if state.ended_ms is not None and state.application_id is None:
            ledger.release_hold(self._cursor, self.job_id, f"release:{self.job_id}")


def _values(run: RunState) -> tuple[Any, ...]:
    return (
        *(run.point, run.attempt, run.tag, run.status, run.since_ms, run.application_id, run.reason_code),
        *(run.reason, run.started_ms, run.ended_ms),
    )


def _stored(state: JobState) -> tuple[Any, ...]:
    return (
        *(state.status, state.reason_code, state.reason, state.application_id, state.started_ms),
        state.ended_ms,
    )
