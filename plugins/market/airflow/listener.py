"""What Airflow's scheduler calls when a run ends: a job's failed run carries the reason as its note."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.listeners import hookimpl

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun


@hookimpl
def on_dag_run_failed(dag_run: DagRun, msg: str) -> None:
    """Write why the job did not succeed; Airflow itself has no state for a cancelled run."""
    # Imported here: every process of Airflow, and so every task, loads its listeners; this is 0.04 s of work.
    from market.jobs import store  # noqa: PLC0415

    if not dag_run.dag_id.startswith("job_") or dag_run.note:
        return
    job = store.find(dag_run.dag_id.removeprefix("job_"))
    if job is not None and job.reason:
        dag_run.note = job.reason
