from __future__ import annotations

from typing import Any

import pytest

from market.jobs.intake.schemas import ExtensionSchema, JobRequestSchema
from market.kit.errors import BadInputError
from market.kit.wire import loaded

GOOD = {"root_path": "digits", "core_num": 2, "machine_type": "cpu"}


def load(**changes: Any) -> dict[str, Any]:
    return loaded(JobRequestSchema(), GOOD | changes)


def test_three_fields_are_enough() -> None:
    found = load()
    assert found["libs"] == []
    assert found["spark_conf"] == {}
    assert found["executor_cores"] == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("root_path", "/etc"),
        ("root_path", "../bob"),
        ("root_path", "hdfs://elsewhere/x"),
        ("root_path", ""),
        ("root_path", 7),
        ("entry_file", "main.sh"),
        ("entry_file", "."),
        ("entry_file", "../main.py"),
        ("libs", ["../x.py"]),
        ("libs", "x.py"),
        ("core_num", 0),
        ("core_num", "2"),
        ("core_num", 2.5),
        ("core_num", True),
        ("core_num", 10_000),
        ("machine_type", "quantum"),
        ("executor_cores", 3),
        ("executor_memory", 100),
        ("driver_memory", 10**6),
        ("executor_memory", 60_000),  # a tenth beside the heap is more than a container may have
        ("max_duration", 0),
        ("max_credits", "0"),
        ("max_credits", "1.2345678"),
        ("max_credits", 3),
        ("app_params", ["x" * 100_000]),
        ("app_params", [1]),
        ("job_name", ""),
        ("job_name", "two\nlines"),
        ("main_class", "no class"),
        ("python_env", "../env.tar.gz"),
        ("python_env", ["env.tar.gz"]),
        ("spark_conf", {"spark.yarn.queue": "highmem"}),
        ("spark_conf", {"spark.executor.instances": "50"}),
        ("spark_conf", {"spark.driver.extraJavaOptions": "-agentlib:x"}),
        ("spark_conf", {"spark.sql.shuffle.partitions": "8\nspark.master local"}),
        ("spark_conf", {"spark.hadoop.fs.defaultFS": "hdfs://x"}),
        ("spark_conf", {"spark.files": "file:///etc/passwd"}),  # spark-submit would read it, as the market
        ("unheard_of", 1),
    ],
)
def test_each_wrong_field_is_named(field: str, value: object) -> None:
    with pytest.raises(BadInputError) as caught:
        load(**{field: value})
    assert list(caught.value.errors) == [field]


def test_ordinary_settings_of_spark_are_taken() -> None:
    conf = {"spark.sql.shuffle.partitions": "8", "spark.default.parallelism": "4", "spark.task.cpus": "1"}
    conf["spark.files.overwrite"] = "true"
    assert load(spark_conf=conf)["spark_conf"] == conf


def test_parameters_may_hold_anything() -> None:
    params = ['"', "`id`", "$HOME", "{{ ds }}", "%s", '{"a": [1]}', "a\nb", "Grüße 🎈", ""]
    assert load(app_params=params)["app_params"] == params


def test_an_extension_needs_something_to_extend() -> None:
    with pytest.raises(BadInputError):
        loaded(ExtensionSchema(), {})
    assert loaded(ExtensionSchema(), {"max_duration": 10}) == {"max_duration": 10}
