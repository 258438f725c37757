"""What a job is: read from a body, stored, and shown, by one definition of each field."""

from __future__ import annotations

import dataclasses

from market.jobs import spec as specs
from market.jobs.intake.schemas import JobRequestSchema, JobSchema
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


def test_each_field_is_read_stored_and_shown_by_one_definition() -> None:
    names = set(specs.wires())
    assert names <= set(JobRequestSchema().fields)
    assert names <= set(JobSchema().fields)
    assert names | {"only"} == set(spec().to_json())
    assert {field.name for field in dataclasses.fields(JobSpec)} - names == {"only"}, "retries know it alone"


def test_what_is_shown_is_what_was_submitted() -> None:
    asked = {"job_note": "seventh try\n<b>bold</b> {{ x }} 🎈", "libs": ["a.py"], "max_credits": "2.5"}
    shown = JobSchema().dump(spec(**asked).to_json())
    assert {name: shown[name] for name in asked} == asked
