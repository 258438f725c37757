from __future__ import annotations

from market.jobs.intake.schemas import JobRequestSchema
from market.jobs.spec import JobSpec
from market.kit.wire import loaded


def spec(**changes: object) -> JobSpec:
    asked = {"root_path": "digits", "core_num": 4, "machine_type": "cpu", **changes}
    return JobSpec.of_request(loaded(JobRequestSchema(), asked), "main.py")


def test_a_job_has_a_driver_and_its_executors() -> None:
    found = spec(executor_cores=2, executor_memory=1024, driver_memory=512)
    assert found.executors == 2
    assert found.containers == [(1, 1024), (2, 1536), (2, 1536)]


def test_it_comes_back_from_its_stored_form_as_it_was() -> None:
    found = spec(app_params=["{{ x }}", "ü\n"], libs=["a.py"], spark_conf={"spark.sql.ansi.enabled": "true"})
    assert JobSpec.from_json(found.to_json()) == found


def test_defaults_are_the_settings() -> None:
    found = spec()
    assert (found.driver_memory, found.max_duration, found.max_wait) == (512, 3600, 86400)
