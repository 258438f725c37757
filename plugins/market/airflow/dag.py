"""A job's DAG: a task that submits it to YARN for its owner and is deferred while it runs.

The bundle writes one file for each job, which calls `job_dag`; everything here is parsed with each of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pprint import pformat
from typing import Any

from airflow.sdk import DAG

from market.airflow.environment import MarketEnvironment
from market.airflow.operator import MarketSparkSubmit
from market.hadoop.paths import stored_folder
from market.jobs.spec import JobSpec
from market.jobs.store import Job, dag_id_of

# Tries are for accidents of the market's own processes. What has ended is never submitted again.
_RETRIES = 10
_FIRST_WAIT, _LONGEST_WAIT = timedelta(seconds=2), timedelta(seconds=60)

CALL = "from market.airflow.dag import job_dag"  # a file without it is of another release
_FILE = '''"""The DAG of one job: Airflow runs it once; the market wrote it and will remove it."""

{call}

dag = job_dag(
    job_id={job_id!r},
    username={username!r},
    job_name={job_name!r},
    added_ms={added_ms!r},
    folder={folder!r},
    spec={spec},
)
'''


def source(job: Job) -> str:
    """Return the text of a job's DAG file."""
    spec = pformat(job.spec.to_json(), width=100, sort_dicts=False).replace("\n", "\n    ")
    return _FILE.format(
        call=CALL,
        job_id=job.job_id,
        username=job.username,
        job_name=job.job_name,
        added_ms=job.added_ms,
        folder=job.folder,
        spec=spec,
    )


def job_dag(
    job_id: str,
    username: str,
    job_name: str,
    added_ms: int,
    spec: Mapping[str, Any],
    folder: str | None = None,
) -> DAG:
    """Return the DAG of a job; that of a sweep has one mapped task for each point.

    `folder`: where it lies in HDFS; a file of an earlier release does not say it.
    """
    job_spec = JobSpec.from_json(spec)
    common: dict[str, Any] = {
        "job_id": job_id,
        "username": username,
        "own_folder": stored_folder(job_id, folder),
        "retry_delay": _FIRST_WAIT,
        "retry_exponential_backoff": 2.0,
        "max_retry_delay": _LONGEST_WAIT,
    }
    task = {**common, "task_id": "spark", "spec": job_spec, "retries": _RETRIES + job_spec.point_retries}
    with DAG(
        dag_id=dag_id_of(job_id),
        dag_display_name=job_name,
        schedule="@once",
        start_date=datetime.fromtimestamp(added_ms / 1000, UTC),
        catchup=True,
        is_paused_upon_creation=False,
        max_active_runs=1,
        tags=["market", f"owner:{username}"],
        default_args={"owner": username},
    ) as dag:
        if job_spec.grid is None:
            submits: Any = MarketSparkSubmit(**task, point=0)
        else:
            submits = MarketSparkSubmit.partial(
                **task, max_active_tis_per_dagrun=job_spec.max_parallel
            ).expand(point=list(job_spec.points))
        if job_spec.builds:
            fetches = MarketEnvironment(
                **common, task_id="packages", requirements=job_spec.requirements, retries=_RETRIES
            )
            fetches >> submits
    return dag
