"""What users write reaches spark-submit in a form that no shell, list, pattern or template touches."""

from __future__ import annotations

import base64
import subprocess
from typing import Any

import pytest
from odd_texts import ODD

from market.hadoop import spark
from market.jobs.spec import JobSpec
from market.jobs.submission import spark_submit


def arguments(**changes: Any) -> dict[str, Any]:
    asked = {
        "root_path": "digits",
        "entry_file": "main.py",
        "machine_type": "cpu",
        "core_num": 2,
        "executor_cores": 1,
        "driver_memory": 512,
        "executor_memory": 512,
        "max_duration": 60,
        "max_wait": 60,
    }
    return spark_submit.arguments("ab" * 16, "alice", JobSpec.from_json(asked | changes))


def decoded(call: str) -> list[str]:
    return base64.urlsafe_b64decode(call + "=" * (-len(call) % 4)).decode().split("\0")


def test_parameters_come_through_with_their_places_filled() -> None:
    call = arguments(app_params=("--out", "{output}/x", "{{input}}", '"$`\n'))["application_args"]
    words = decoded(*call)
    assert words[:3] == ["main.py", "", "--out"]
    assert words[3].endswith(f"/market/jobs/{'ab' * 16}/output/x")
    assert words[4].startswith("{hdfs://")
    assert words[4].endswith("/user/alice/digits}")
    assert words[5] == '"$`\n'


@pytest.mark.parametrize("name", ["root_path", "entry_file"])
def test_spark_is_told_of_plain_addresses_only(name: str) -> None:
    odd = ODD.replace("/", "") + ".py"
    place = arguments(**{name: odd})["files"]
    path = place.removeprefix("hdfs://").split("/", 1)[1]
    assert path.isascii()
    assert not set(path) & set(' ,#%*?[]{}"`$\\')
    assert path.endswith(".py")


def test_files_with_odd_names_get_different_ones() -> None:
    libs = arguments(libs=("one two.zip", "three four.zip"))["py_files"].split(",")
    assert len({place.rsplit("/", 1)[1] for place in libs}) == 2


def test_files_with_plain_names_stay_where_they_are() -> None:
    assert arguments()["files"].endswith("/user/alice/digits/main.py")


def test_a_jar_runs_through_its_runner_with_its_libraries_beside_it() -> None:
    found = arguments(entry_file="app.jar", libs=("dep.jar",), main_class="org.x.Main")
    assert found["java_class"] == "distributedmarket.Program"
    assert [place.rsplit("/", 1)[1] for place in found["jars"].split(",")] == ["app.jar", "dep.jar"]
    assert decoded(*found["application_args"]) == ["app.jar", "org.x.Main"]


def test_only_a_java_program_s_driver_has_the_optimising_compiler() -> None:
    assert arguments(entry_file="app.jar")["conf"]["spark.driver.extraJavaOptions"] == spark.WORKING_JVM
    assert "spark.driver.extraJavaOptions" not in arguments()["conf"]


def test_what_a_job_sets_cannot_undo_what_the_market_sets() -> None:
    conf = arguments(spark_conf={"spark.yarn.tags": "x", "spark.dynamicAllocation.enabled": "true"})["conf"]
    assert conf["spark.yarn.tags"] == "ab" * 16
    assert conf["spark.dynamicAllocation.enabled"] == "false"


def test_a_shell_gives_variables_exactly() -> None:
    """As YARN's start script does it: the value between double quotes, after replacing its own signs."""
    quoted = spark_submit.for_shell(ODD)
    assert "{{" not in quoted
    assert "}}" not in quoted
    assert "<CPS>" not in quoted
    shown = subprocess.run(
        ["bash", "-c", f'export X="{quoted}"\nprintf %s "$X"'], capture_output=True, check=True, text=True
    )
    assert shown.stdout == ODD


def test_an_own_python_is_unpacked_and_used_by_driver_and_executors() -> None:
    found = arguments(archives=("data.zip",), python_env="env.tar.gz")
    data, environment = found["archives"].split(",")
    assert data.endswith("/user/alice/digits/data.zip")
    assert environment.endswith("/user/alice/digits/env.tar.gz#environment")
    for place in ("spark.yarn.appMasterEnv", "spark.executorEnv"):
        assert found["conf"][f"{place}.PYSPARK_PYTHON"] == "./environment/bin/python"
    assert not [name for name in arguments()["conf"] if "PYSPARK_PYTHON" in name]
