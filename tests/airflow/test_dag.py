"""The DAG of a job: what the bundle writes is what Airflow reads, whatever users have put into it."""

from __future__ import annotations

import runpy
from dataclasses import replace
from pathlib import Path
from typing import Any

from airflow.sdk import DAG
from airflow.serialization.serialized_objects import DagSerialization

from market.airflow import dag as dags
from market.airflow.operator import MarketSparkSubmit
from market.jobs.spec import JobSpec
from market.jobs.store import Job

SPEC = JobSpec.from_json(
    {
        "root_path": 'it\'s "{{ ds }}"',
        "entry_file": "main.py",
        "machine_type": "cpu",
        "core_num": 2,
        "executor_cores": 1,
        "driver_memory": 512,
        "executor_memory": 512,
        "max_duration": 60,
        "max_wait": 60,
        "app_params": ["'''", '"""', "\\", "{{ ti.xcom_pull() }}", "%(x)s", "a\nb", "ü🎈"],
    }
)
JOB = Job(
    *("ab" * 16, "cd" * 16, "alice", 'digits \'""" {{ x }}', SPEC, "cpu", 2, "submitted", None, "", None),
    *(1_700_000_000_000, None, None, False, None, 1, 1, 0),
)


def read(folder: Path, job: Job = JOB) -> DAG:
    file = folder / "job.py"
    file.write_text(dags.source(job))
    found: Any = runpy.run_path(str(file))["dag"]
    return found


def test_the_file_holds_what_the_job_is(tmp_path: Path) -> None:
    dag = read(tmp_path)
    task = dag.get_task("spark")
    assert dag.dag_id == JOB.dag_id
    assert dag.dag_display_name == JOB.job_name
    assert isinstance(task, MarketSparkSubmit)
    assert (task.job_id, task.username, task.owner) == (JOB.job_id, "alice", "alice")
    assert task.application_args == [
        dags.MarketSparkSubmit(
            task_id="again", job_id=JOB.job_id, username="alice", spec=SPEC, point=0
        ).application_args[0]
    ]


def test_airflow_stores_it_and_reads_it_back(tmp_path: Path) -> None:
    again = DagSerialization.from_dict(DagSerialization.to_dict(read(tmp_path)))
    assert again.dag_id == JOB.dag_id
    assert again.timetable.summary == "@once"


def test_airflow_s_search_takes_it_for_a_dag_file() -> None:
    text = dags.source(JOB).lower()
    assert "dag" in text
    assert "airflow" in text


def test_nothing_in_it_is_a_template(tmp_path: Path) -> None:
    assert list(read(tmp_path).get_task("spark").template_fields) == []


def test_two_jobs_are_two_dags(tmp_path: Path) -> None:
    assert read(tmp_path, replace(JOB, job_id="12" * 16)).dag_id != read(tmp_path).dag_id
