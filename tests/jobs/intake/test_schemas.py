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
        ("env", {"PATH": "x"}),
        ("env", {"A": "x" * 12_000}),
        ("env", {f"A{number}": "" for number in range(101)}),
        ("env", ["A"]),
        ("secrets", ["LD_PRELOAD"]),
        ("secrets", ["a-b"]),
        ("files", ["/etc"]),
        ("requirements", ["-r other.txt"]),
        ("requirements", ["probe"] * 501),
        ("exclude", ["../x"]),
        ("entry_file", "main.sh"),
        ("entry_file", "."),
        ("entry_file", "../main.py"),
        ("libs", ["../x.py"]),
        ("libs", "x.py"),
        ("job_note", "x" * 501),
        ("job_note", "a\x1bb"),
        ("job_note", 7),
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
        ("app_params", [["x"]]),
        ("app_params", [None]),
        ("app_params", [float("inf")]),
        ("job_name", ""),
        ("job_name", "two\nlines"),
        ("job_name", " "),
        ("job_name", "\u3000\u200b"),
        ("job_name", "\u2800"),
        ("job_name", "\u200f\u200e"),
        ("job_name", "harmless\u202egpj.py"),
        ("job_name", "\u2066x\u2069"),
        ("job_name", "a\u2028b"),
        ("main_class", "no class"),
        ("python_env", "../env.tar.gz"),
        ("python_env", ["env.tar.gz"]),
        ("spark_conf", {"spark.yarn.queue": "highmem"}),
        ("spark_conf", {"spark.executor.instances": "50"}),
        ("spark_conf", {"spark.driver.extraJavaOptions": "-agentlib:x"}),
        ("spark_conf", {"spark.sql.shuffle.partitions": "8\nspark.master local"}),
        ("spark_conf", {"spark.hadoop.fs.defaultFS": "hdfs://x"}),
        ("spark_conf", {"spark.files": "file:///etc/passwd"}),  # spark-submit would read it, as the market
        ("spark_conf", {"spark.sqlfoo": "1"}),
        ("spark_conf", {"spark.serializerX": "1"}),
        ("spark_conf", {"spark.speculationist": "true"}),
        ("spark_conf", {"spark.network.timeoutInterval": "1s"}),
        ("spark_conf", {"spark.sql.": "1"}),
        ("spark_conf", {"spark.sql": "1"}),
        ("spark_conf", {"spark.files": "x"}),
        ("spark_conf", {"spark.storage.decommission.fallbackStorage.path": "hdfs://x"}),
        ("spark_conf", {"spark.sql.hive.metastore.jars": "x"}),
        ("spark_conf", {"spark.sql.shuffle.partitions": ["8"]}),
        ("spark_conf", {"spark.memory.offHeap.enabled": "true"}),
        ("spark_conf", {"spark.memory.offHeap.enabled": "true", "spark.memory.offHeap.size": "1.5g"}),
        ("spark_conf", {"spark.memory.offHeap.enabled": "yes", "spark.memory.offHeap.size": "1g"}),
        ("spark_conf", {"spark.memory.offHeap.enabled": "true", "spark.memory.offHeap.size": "64g"}),
        ("unheard_of", 1),
        ("unheard_of", None),
    ],
)
def test_each_wrong_field_is_named(field: str, value: object) -> None:
    with pytest.raises(BadInputError) as caught:
        load(**{field: value})
    assert list(caught.value.errors) == [field]


def test_ordinary_settings_of_spark_are_taken() -> None:
    conf = {
        "spark.sql.shuffle.partitions": "8",
        "spark.default.parallelism": "4",
        "spark.task.cpus": "1",
        "spark.files.overwrite": "true",
        "spark.serializer": "org.apache.spark.serializer.KryoSerializer",
        "spark.speculation": "true",
        "spark.speculation.interval": "1s",
        "spark.locality.wait": "0s",
        "spark.network.timeout": "300s",
        "spark.storage.memoryMapThreshold": "2m",
        "spark.hadoop.mapreduce.fileoutputcommitter.algorithm.version": "2",
    }
    assert load(spark_conf=conf)["spark_conf"] == conf


@pytest.mark.parametrize(
    ("setting", "field"),
    [
        ("spark.executor.memory", "executor_memory"),
        ("spark.executor.memoryOverhead", "executor_memory"),
        ("spark.driver.memory", "driver_memory"),
        ("spark.executor.instances", "core_num"),
        ("spark.dynamicAllocation.maxExecutors", "core_num"),
        ("spark.executor.cores", "executor_cores"),
        ("spark.app.name", "job_name"),
        ("spark.submit.pyFiles", "libs"),
        ("spark.pyspark.python", "python_env"),
        ("spark.yarn.queue", "machine_type"),
    ],
)
def test_a_setting_that_is_a_field_here_names_it(setting: str, field: str) -> None:
    with pytest.raises(BadInputError) as caught:
        load(spark_conf={setting: "4"})
    assert caught.value.errors == {"spark_conf": {setting: [f"is not set here: use the field {field}"]}}
    assert field in JobRequestSchema().fields


def test_numbers_and_truth_are_text_in_settings_and_parameters() -> None:
    conf = {"spark.sql.shuffle.partitions": 8, "spark.speculation": True, "spark.memory.fraction": 0.5}
    found = load(spark_conf=conf, app_params=["--epochs", 3, -0.25, True, False, ""])
    assert found["spark_conf"] == {
        "spark.sql.shuffle.partitions": "8",
        "spark.speculation": "true",
        "spark.memory.fraction": "0.5",
    }
    assert found["app_params"] == ["--epochs", "3", "-0.25", "true", "false", ""]


def test_null_means_not_given() -> None:
    nothing = {name: None for name in JobRequestSchema().fields if name not in GOOD}
    assert load(**nothing) == load()
    assert load(spark_conf={"spark.speculation": None})["spark_conf"] == {}
    with pytest.raises(BadInputError) as caught:
        load(root_path=None)
    assert "required" in str(caught.value)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("core_num", 10_000_000, "core_num: must be from 1 to 64"),
        ("executor_cores", 65, "executor_cores: must be from 1 to 64"),
        ("executor_memory", 10**7, "executor_memory: must be from 512 to 59579"),
        ("max_parallel", 10**6, "max_parallel: must be from 1 to 200"),
        ("max_credits", "1.2345678", "max_credits: must be a decimal number like 3.500000"),
        ("max_credits", "9" * 13, "at most 12 digits"),
        (
            "spark_conf",
            {"spark.sql.x": [1]},
            "spark_conf spark.sql.x: must be a text, a number, true or false",
        ),
        ("app_params", ["a", {"b": 1}], "app_params[1]: must be a text, a number, true or false"),
    ],
)
def test_words_name_the_limit_that_holds_and_are_nobody_s_code(field: str, value: object, words: str) -> None:
    with pytest.raises(BadInputError) as caught:
        load(**{field: value})
    assert words in caught.value.detail
    assert not {"{", "}", "'", "["} & set(caught.value.detail.replace("app_params[1]", ""))


def test_a_body_that_is_no_object_is_told_so() -> None:
    with pytest.raises(BadInputError) as caught:
        loaded(JobRequestSchema(), ["x"])
    assert list(caught.value.errors) == ["body"]


def test_parameters_may_hold_anything() -> None:
    params = ['"', "`id`", "$HOME", "{{ ds }}", "%s", '{"a": [1]}', "a\nb", "Grüße 🎈", ""]
    assert load(app_params=params)["app_params"] == params


def test_an_extension_needs_something_to_extend() -> None:
    with pytest.raises(BadInputError):
        loaded(ExtensionSchema(), {})
    assert loaded(ExtensionSchema(), {"max_duration": 10}) == {"max_duration": 10}
