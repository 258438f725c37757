"""The DAG of a job: what the bundle writes is what Airflow reads, whatever users have put into it."""

from __future__ import annotations

import runpy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
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
            task_id="again", job_id=JOB.job_id, username="alice", own_folder=JOB.folder, spec=SPEC, point=0
        ).application_args[0]
    ]


def test_a_job_lies_where_it_says_and_one_of_an_earlier_release_where_it_was(tmp_path: Path) -> None:
    new = replace(JOB, own_folder="/user/alice/.market-jobs/x")
    for job, output in (
        (new, "/user/alice/.market-jobs/x/output"),
        (JOB, f"/market/jobs/{JOB.job_id}/output"),
    ):
        task = read(tmp_path, job).get_task("spark")
        assert isinstance(task, MarketSparkSubmit)
        assert task.output_folder == output
    earlier = "".join(line for line in dags.source(JOB).splitlines(True) if "folder=" not in line)
    (tmp_path / "job.py").write_text(earlier)
    task = runpy.run_path(str(tmp_path / "job.py"))["dag"].get_task("spark")
    assert task.output_folder == f"/market/jobs/{JOB.job_id}/output"


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


@pytest.mark.parametrize("sweep", [None, {"alpha": [1, 2]}])
def test_packages_that_are_not_there_are_fetched_before_the_program_runs(
    tmp_path: Path, sweep: dict[str, list[int]] | None
) -> None:
    asked = replace(SPEC, requirements=("probe==1.0",), grid=sweep, max_parallel=1)
    assert read(tmp_path, replace(JOB, spec=asked)).task_ids == ["spark"]
    dag = read(tmp_path, replace(JOB, spec=replace(asked, builds=True)))
    fetches = dag.get_task("packages")
    assert fetches.downstream_task_ids == {"spark"}
    assert fetches.requirements == ["probe==1.0"]  # type: ignore[attr-defined]
    again = DagSerialization.from_dict(DagSerialization.to_dict(dag))
    assert sorted(again.task_ids) == ["packages", "spark"]
