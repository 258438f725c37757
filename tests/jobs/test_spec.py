"""What a job is: read from a body, stored, and shown, by one definition of each field."""

from __future__ import annotations

import dataclasses

from market.jobs import spec as specs
from market.jobs.intake.schemas import JobRequestSchema
from market.jobs.spec import JobSpec
from market.kit.wire import loaded
from market.web.schemas.jobs import JobSchema


def spec(**changes: object) -> JobSpec:
    request = {"root_path": "digits", "core_num": 4, "machine_type": "cpu", **changes}
    return JobSpec.of_request(loaded(JobRequestSchema(), request), "main.py")


def test_a_job_has_a_driver_and_its_executors() -> None:
    job = spec(executor_cores=2, executor_memory=1024, driver_memory=512)
    assert job.executors == 2
    assert job.containers == [(1, 1024), (2, 1536), (2, 1536)]


def test_it_comes_back_from_its_stored_form_as_it_was() -> None:
    job = spec(app_params=["{{ x }}", "ü\n"], libs=["a.py"], spark_conf={"spark.sql.ansi.enabled": "true"})
    assert JobSpec.from_json(job.to_json()) == job


def test_defaults_are_the_settings() -> None:
    job = spec()
    assert (job.driver_memory, job.max_duration, job.max_wait) == (512, 3600, 86400)


def test_each_field_is_read_stored_and_shown_by_one_definition() -> None:
    names = set(specs.wires())
    assert names <= set(JobRequestSchema().fields)
    assert names <= set(JobSchema().fields)
    assert names | {"only", "builds"} == set(spec().to_json())
    assert {field.name for field in dataclasses.fields(JobSpec)} - names == {"only", "builds"}, (
        "the market's own"
    )


def test_what_is_shown_is_what_was_submitted() -> None:
    body = {"job_note": "seventh try\n<b>bold</b> {{ x }} 🎈", "libs": ["a.py"], "max_credits": "2.5"}
    shown = JobSchema().dump(spec(**body).to_json())
    assert {name: shown[name] for name in body} == body
