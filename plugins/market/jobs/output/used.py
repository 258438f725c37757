"""What an ended job really used of what it was allocated: processor time and memory, by role.

The figures come with the containers' logs, where each one's first process wrote them; when tasks ran, from
Spark's event log. Both lie in the program's reach. So they are claims, bounded in number and size, which its
owner is shown and which nothing is charged by.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from market.cluster import event_log
from market.cluster.clients import hdfs, job_history
from market.credits import cost as costs
from market.credits.tariff import Factors
from market.hadoop import paths
from market.jobs import runs, store
from market.jobs.output import advice, log_places
from market.jobs.runs import Run
from market.jobs.store import Job
from market.kit import database, isolation
from market.kit.clock import now_ms
from market.kit.database import Cursor
from market.kit.text import parsed_storable
from market.kit.vocabulary import DRIVER, EXECUTOR

_WORK = "measuring use"
_BATCH = 20
_DUE = isolation.due("job_id")
_LATE_MS = 15 * 60_000  # by then the meter has closed every container, or never will
_MAX_BYTES = 4096  # of a container's file
_MOST_CONTAINERS, _LONGEST_S = 500, 20.0  # of one job that are asked for; the others count as not measured
_MOST_CPU_S, _MOST_MIB = 10**9, 1 << 24
_BRIEF_MS = 5_000  # YARN may give an executor too many, which is handed back before anything runs in it


@dataclass(frozen=True)
class Figures:
    """What one container used: processor seconds, and the most memory that it held, in MiB."""

    cpu_s: float
    peak_memory_mib: int


def collect() -> None:
    """Measure the jobs that ended and whose logs are listed, each once. Raises ClusterUnavailable."""
    at_ms = now_ms()
    with database.transaction() as cursor:
        cursor.execute(
            "SELECT job_id FROM job"  # noqa: S608 - own words
            " WHERE ended_ms IS NOT NULL AND used_ms IS NULL AND logs_ms IS NOT NULL"
            " AND (ended_ms < %s OR NOT EXISTS"
            "      (SELECT FROM container_usage c WHERE c.job_id = job.job_id AND c.end_ms IS NULL))"
            f" AND {_DUE} ORDER BY ended_ms DESC LIMIT %s",
            [at_ms - _LATE_MS, _WORK, at_ms, _BATCH],
        )
        job_ids = [row.job_id for row in cursor.fetchall()]

    def one(job_id: str) -> None:
        if job := store.find(job_id):
            _store(job_id, measured(job))

    isolation.each(_WORK, job_ids, one, str, lambda job_id, _: _store(job_id, None))


def measured(job: Job) -> dict[str, Any] | None:
    """Return what a job used, as it is stored; None if no container of it ran. Raises ClusterUnavailable."""
    begun = runs.with_application(job)
    with database.transaction() as cursor:
        cursor.execute(
            "SELECT container_id, application_id, role, attempt, vcores, memory_mib,"
            " greatest(coalesce(end_ms, last_seen_ms) - start_ms, 0) AS ms"
            " FROM container_usage WHERE job_id = %s ORDER BY start_ms, container_id",
            [job.job_id],
        )
        containers = cursor.fetchall()
    if not containers:
        return None
    figures = _figures(begun)
    used = {
        role: _of_role([row for row in containers if row.role == role], figures)
        for role in (DRIVER, EXECUTOR)
    }
    # Of several applications nobody can say which of them the next one will be like.
    alone = len(begun) == 1 and not job.spec.grid and {row.attempt for row in containers} == {1}
    return used | {"work": _work(job, begun[0]) if alone and job.status == "succeeded" else None}


def _figures(begun: Sequence[Run]) -> dict[str, Figures]:
    """Return the figures of the containers whose machines handed them over."""
    found: dict[str, Figures] = {}
    until = time.monotonic() + _LONGEST_S
    for run in begun:
        for container_id, files in log_places.collected(run, {}).items():
            if len(found) >= _MOST_CONTAINERS or time.monotonic() > until:
                return found
            if any(file.name == log_places.USAGE for file in files):
                part = job_history().log(container_id, log_places.USAGE, 0, _MAX_BYTES)
                if part and (told := parsed(b"".join(part.chunks))):
                    found[container_id] = told
    return found


def parsed(text: bytes) -> Figures | None:
    """Return the figures in a container's file; None for what is none."""
    try:
        told: Any = parsed_storable(text)
        cpu_s, peak_mib = told["cpu_s"], told["peak_memory_mib"]
    except (ValueError, KeyError, TypeError):
        return None
    if type(cpu_s) not in (int, float) or type(peak_mib) is not int:
        return None
    if not 0 <= cpu_s <= _MOST_CPU_S or not 0 <= peak_mib <= _MOST_MIB:
        return None
    return Figures(float(cpu_s), peak_mib)


def _of_role(rows: Sequence[Any], figures: dict[str, Figures]) -> dict[str, Any] | None:
    if not rows:
        return None
    told = [figures[row.container_id] for row in rows if row.container_id in figures]
    return {
        "containers": len(rows),
        "not_measured": sum(row.container_id not in figures and row.ms >= _BRIEF_MS for row in rows),
        "held_core_s": round(sum(row.vcores * row.ms for row in rows) / 1000, 1),
        "cpu_s": round(sum(one.cpu_s for one in told), 1) if told else None,
        "memory_mib": max(row.memory_mib for row in rows),
        "peak_memory_mib": max((one.peak_memory_mib for one in told), default=None),
        "ms": [row.ms for row in rows][:_MOST_CONTAINERS],
    }


def _work(job: Job, run: Run) -> dict[str, Any] | None:
    """Return how long the tasks ran, and would have run on fewer cores; None if no event log says so."""
    folders = (paths.events(job.folder), paths.EVENT_LOGS)
    tasks = event_log.tasks(hdfs(), folders, run.application_id or "", 1)
    if tasks is None:
        return None
    spans = [(task.start_ms, task.end_ms) for task in tasks]
    cores = job.spec.executor_cores
    return {
        "busy_core_s": round(sum(end - start for start, end in spans) / 1000, 1),
        "wall_ms": advice.wall_ms(spans),
        "on_fewer_ms": {
            str(executors): advice.makespan_ms(spans, executors * cores)
            for executors in advice.fewer(job.spec.executors)
        },
    }


def _store(job_id: str, used: dict[str, Any] | None) -> None:
    with database.transaction() as cursor:
        cursor.execute(
            "UPDATE job SET used = %s, used_ms = %s WHERE job_id = %s",
            [None if used is None else json.dumps(used), now_ms(), job_id],
        )


def shown(cursor: Cursor, job: Job) -> dict[str, Any] | None:
    """Return what routes and pages show of it, with the advice (UsedSchema); None until it is known."""
    cursor.execute(
        "SELECT j.used, h.rate_micro, h.weight_micro, h.gib_weight_micro"
        " FROM job j JOIN hold h USING (job_id) WHERE j.job_id = %s",
        [job.job_id],
    )
    row = cursor.fetchone()
    if row is None or row.used is None:
        return None
    used: dict[str, Any] = row.used
    factors = Factors(row.rate_micro, row.weight_micro, row.gib_weight_micro)
    work = used.get("work") or {}
    cost = costs.of_jobs(cursor, [job.job_id]).get(job.job_id, costs.Cost())
    return {
        "driver": used.get(DRIVER),
        "executors": used.get(EXECUTOR) and {**used[EXECUTOR], "busy_core_s": work.get("busy_core_s")},
        "advice": advice.of(job.spec, job.reason_code, job.reason, used, factors, cost.ucr),
    }
