"""How much one person may have open at a time: jobs, and cores. The same behind every way to submit."""

from __future__ import annotations

from market.jobs.spec import JobSpec
from market.kit import settings
from market.kit.database import Cursor
from market.kit.errors import OverLimitError


def check(cursor: Cursor, user_id: str, spec: JobSpec) -> None:
    """Raise OverLimitError if this job would be one too many, or would ask for too many cores."""
    limits = settings.load().jobs
    cursor.execute(
        "SELECT count(*) AS jobs,"
        " coalesce(sum(core_num * coalesce((spec->>'max_parallel')::integer, 1)), 0) AS cores FROM job"
        " WHERE user_id = %s AND ended_ms IS NULL",
        [user_id],
    )
    open_now = cursor.fetchone()
    if open_now.jobs >= limits.open_jobs_per_user:
        raise OverLimitError(
            f"You have {open_now.jobs} open jobs and may have {limits.open_jobs_per_user}. "
            "Wait until one has ended, or cancel one.",
            retry_after_s=30,
        )
    cores = spec.core_num * spec.max_parallel
    if cores > limits.open_cores_per_user:
        raise OverLimitError(  # to wait would not help
            f"This asks for {cores} cores at once and you may have {limits.open_cores_per_user}. "
            f"Lower {'max_parallel or ' if spec.grid else ''}core_num."
        )
    if open_now.cores + cores > limits.open_cores_per_user:
        raise OverLimitError(
            f"Your open jobs ask for {open_now.cores} cores and may ask for {limits.open_cores_per_user} in "
            "all. Ask for fewer, wait until a job has ended, or cancel one.",
            retry_after_s=30,
        )
