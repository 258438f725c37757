"""Why a job does not run yet: one sentence, its code, and the figures behind it.

A job waits until its first executor has run; a program that asks for none waits, in this sense, to its end.
All of it is read from the database, as the watch and the meter left it some seconds ago, so that any number
of people may look without a question to YARN.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from market.hadoop.site import POOL_LABEL
from market.jobs.store import Job
from market.kit import database, settings
from market.kit.clock import now_ms
from market.kit.supply import Supply
from market.kit.vocabulary import (
    ALL_DRAINING,
    ALL_JOINING,
    ALL_RESTING,
    BEGINS,
    CANCELLING,
    CORES,
    DRIVER_ROOM,
    EXECUTOR,
    NO_MACHINE,
    PACKAGES,
    PREPARES,
    RUN_STATUSES,
    SUBMITS,
    TOO_LARGE,
    WAITING,
    YARN,
)

SupplyOf = Callable[[database.Cursor, str], Supply]

_DAY_MS = 24 * 3600 * 1000
_FEW = 3  # of waits: a median of fewer tells nothing
_SLOW_MS = 60_000  # Airflow begins a job within seconds
_ROW = """
    SELECT r.status, r.since_ms, r.application_id,
           EXISTS (SELECT FROM submission s WHERE s.tag = r.tag) AS submitted,
           EXISTS (SELECT FROM container_usage c WHERE c.application_id = r.application_id) AS begun,
           EXISTS (SELECT FROM container_usage c
                   WHERE c.job_id = r.job_id AND c.role = %(executor)s) AS worked
    FROM run r WHERE r.job_id = %(job_id)s AND r.ended_ms IS NULL
    ORDER BY array_position(%(way)s, r.status) DESC, r.point LIMIT 1
"""
_BEFORE = """
    SELECT count(*) AS jobs, coalesce(sum(j.core_num), 0) AS cores
    FROM job j
    WHERE j.ended_ms IS NULL AND j.status <> %(cancelling)s AND j.machine_type = %(machine_type)s
      AND (j.added_ms, j.job_id) < (%(added_ms)s, %(job_id)s)
      AND NOT EXISTS (SELECT FROM container_usage c WHERE c.job_id = j.job_id AND c.role = %(executor)s)
"""
_USUAL = """
    SELECT count(*) AS jobs, percentile_cont(0.5) WITHIN GROUP (ORDER BY started_ms - added_ms) AS wait_ms
    FROM job
    WHERE added_ms >= %(since_ms)s AND started_ms IS NOT NULL AND machine_type = %(machine_type)s
      AND core_num BETWEEN (%(cores)s + 1) / 2 AND %(cores)s * 2
"""


@dataclass(frozen=True)
class _Facts:
    """What is known of a job that waits. `begun`: a container of its application has been seen."""

    job: Job
    status: str
    since_ms: int
    begun: bool
    handed_over: bool
    jobs_before: int
    cores_before: int
    supply: Supply
    drivers: Supply | None  # None: drivers run beside the executors


def why(job: Job, supply_of: SupplyOf) -> dict[str, Any] | None:
    """Return why a job waits: `{code, sentence, since, figures}`; None if it does not.

    `figures` are whole numbers: the job's place in the queue of its type (from 1), what was asked for before
    it, the type's machines, cores and free cores, the size of an executor, and `usual_wait` in seconds, the
    median of jobs of the type and up to twice or half the cores in the last 24 hours (null: too few).
    """
    if job.ended or job.status == CANCELLING:
        return None
    with database.transaction() as cursor:
        facts = _facts(cursor, job, supply_of)
        if facts is None:
            return None
        usual_s = _usual_wait_s(cursor, job)
    code, sentence = _told(facts)
    if usual_s is not None:
        sentence += f" Jobs like it waited {_span(usual_s * 1000)} in the last day."
    cores, memory_mib = job.spec.containers[-1]
    return {
        "code": code,
        "sentence": sentence,
        "since": facts.since_ms,
        "figures": {
            "place": facts.jobs_before + 1,
            "jobs_before": facts.jobs_before,
            "cores_before": facts.cores_before,
            "machines": len(facts.supply.active),
            "cores": facts.supply.cores,
            "free_cores": facts.supply.free_cores,
            "executor_cores": cores,
            "executor_mib": memory_mib,
            "usual_wait": usual_s,
        },
    }


def _facts(cursor: database.Cursor, job: Job, supply_of: SupplyOf) -> _Facts | None:
    values = {
        "executor": EXECUTOR,
        "job_id": job.job_id,
        "way": list(RUN_STATUSES),
        "cancelling": CANCELLING,
        "machine_type": job.machine_type,
        "added_ms": job.added_ms,
    }
    cursor.execute(_ROW, values)
    row = cursor.fetchone()
    if row is None or row.worked:
        return None
    cursor.execute(_BEFORE, values)
    before = cursor.fetchone()
    return _Facts(
        job,
        row.status,
        row.since_ms,
        row.begun,
        row.application_id is not None or row.submitted,
        int(before.jobs),
        int(before.cores),
        supply_of(cursor, job.machine_type),
        supply_of(cursor, POOL_LABEL) if settings.load().pool.enabled else None,
    )


def _usual_wait_s(cursor: database.Cursor, job: Job) -> int | None:
    values = {
        "since_ms": now_ms() - _DAY_MS,
        "machine_type": job.machine_type,
        "cores": job.core_num,
    }
    cursor.execute(_USUAL, values)
    row = cursor.fetchone()
    return round(row.wait_ms / 1000) if row.jobs >= _FEW else None


def _told(facts: _Facts) -> tuple[str, str]:
    """Return the code and the sentence: of what stands first in the way."""
    job, supply = facts.job, facts.supply
    if facts.status == WAITING:
        return _not_begun(facts)
    if not supply.active:
        return _none_takes_work(job.machine_type, supply)
    if not facts.handed_over:
        return SUBMITS, "It is being handed to YARN."
    cores, memory_mib = job.spec.containers[-1]
    if not supply.holds(cores, memory_mib):
        largest = max(supply.active, key=lambda room: (room.cores, room.memory_mib))
        return TOO_LARGE, (
            f"No machine of the type {job.machine_type} is large enough for an executor of {cores} cores and"
            f" {memory_mib} MiB: the largest has {largest.cores} cores and {largest.memory_mib} MiB."
        )
    if not facts.begun and facts.drivers is not None:
        driver_cores, driver_mib = job.spec.containers[0]
        if not facts.drivers.has_room(driver_cores, driver_mib):
            free_mib = max((room.free_mib for room in facts.drivers.active), default=0)
            return DRIVER_ROOM, (
                f"The market's own machine, which runs the drivers, has no room for this one: it needs"
                f" {driver_cores} core and {driver_mib} MiB, and {free_mib} MiB are free."
            )
    if not supply.has_room(cores, memory_mib):
        return CORES, _busy(facts)
    if not facts.begun:
        return YARN, "There is room for it: YARN starts its driver in a moment."
    return PREPARES, "Its driver runs; YARN has not been asked for its executors yet, or is placing them."


def _not_begun(facts: _Facts) -> tuple[str, str]:
    if facts.job.spec.builds:
        return PACKAGES, "Its Python packages are fetched first; its logs tell how far that is."
    waited_ms = now_ms() - facts.since_ms
    if waited_ms > _SLOW_MS:
        return BEGINS, f"Airflow has not begun it for {_span(waited_ms)}: the market's scheduler is behind."
    return BEGINS, "Airflow begins it in a moment."


def _none_takes_work(machine_type: str, supply: Supply) -> tuple[str, str]:
    if supply.joining:
        return ALL_JOINING, (
            f"{_machines(supply.joining, machine_type)} {_be(supply.joining)} joining; none takes work yet."
        )
    if supply.draining:
        return ALL_DRAINING, (
            f"{_machines(supply.draining, machine_type)} {_be(supply.draining)} being drained and"
            f" {'takes' if supply.draining == 1 else 'take'} no new work; no other is lent."
        )
    if supply.resting:
        return ALL_RESTING, (
            f"{_machines(supply.resting, machine_type)} {_be(supply.resting)} lent at other hours of the day;"
            " no other is lent."
        )
    last = (
        "there has been none yet"
        if supply.last_ms is None
        else f"the last one was there {_span(now_ms() - supply.last_ms)} ago"
    )
    return NO_MACHINE, f"No machine of the type {machine_type} is lent now; {last}."


def _busy(facts: _Facts) -> str:
    supply, jobs = facts.supply, facts.jobs_before
    used = supply.cores - supply.free_cores
    sentence = f"{used} of the {supply.cores} cores of the type {facts.job.machine_type} are in use"
    if jobs:
        sentence += (
            f", and {jobs} {'job' if jobs == 1 else 'jobs'} asked for {facts.cores_before} cores before it"
        )
    return f"{sentence}."


def _machines(count: int, machine_type: str) -> str:
    return f"{count} {'machine' if count == 1 else 'machines'} of the type {machine_type}"


def _be(count: int) -> str:
    return "is" if count == 1 else "are"


def _span(milliseconds: int) -> str:
    """Return a time in one unit, for a sentence."""
    seconds = max(0, milliseconds) // 1000
    for unit, length_s in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= length_s:
            count = seconds // length_s
            return f"{count} {unit}{'' if count == 1 else 's'}"
    return f"{seconds} {'second' if seconds == 1 else 'seconds'}"
