"""What users write reaches spark-submit in a form that no shell, list, pattern or template touches."""

from __future__ import annotations

import base64
import json
import re
import subprocess
from typing import Any

import pytest
from odd_texts import ODD

from market.hadoop import paths, spark
from market.jobs import fields
from market.jobs.folder import Entry
from market.jobs.spec import JobSpec
from market.jobs.submission import spark_submit
from market.kit import settings

FOLDER = paths.job_folder("alice", "ab" * 16)

ASKED = {
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


def arguments(**changes: Any) -> dict[str, Any]:
    return spark_submit.arguments("ab" * 16, "alice", FOLDER, JobSpec.from_json(ASKED | changes))


def decoded(call: str) -> list[str]:
    return base64.urlsafe_b64decode(call + "=" * (-len(call) % 4)).decode().split("\0")


def test_parameters_come_through_with_their_places_filled() -> None:
    call = arguments(app_params=("--out", "{output}/x", "{{input}}", '"$`\n'))["application_args"]
    words = decoded(*call)
    assert words[:3] == ["main.py", "", "--out"]
    assert words[3].endswith(f"/user/alice/.market-jobs/{'ab' * 16}/output/x")
    assert words[4].startswith("{hdfs://")
    assert words[4].endswith("/user/alice/digits}")
    assert words[5] == '"$`\n'


@pytest.mark.parametrize("name", ["root_path", "entry_file"])
def test_spark_is_told_of_plain_addresses_only(name: str) -> None:
    odd = ODD.replace("/", "") + ".py"
    place = arguments(**{name: odd})["files"].split(",")[0]
    path = place.removeprefix("hdfs://").split("/", 1)[1]
    assert path.isascii()
    assert not set(path) & set(' ,#%*?[]{}"`$\\')
    assert path.endswith(".py")


def test_files_with_odd_names_get_different_ones() -> None:
    libs = arguments(libs=("one two.zip", "three four.zip"))["py_files"].split(",")
    assert len({place.rsplit("/", 1)[1] for place in libs}) == 2


def test_spark_is_told_of_copies_in_the_job_s_folder_alone() -> None:
    """What its owner changes in his home while the job runs is nothing to it."""
    found = arguments(libs=("dep.zip", "u.py"), archives=("data.zip",), python_env="env.tar.gz")
    places = ",".join([found["files"], found["py_files"], found["archives"]]).split(",")
    own = [place for place in places if "/market/lib/" not in place]
    assert len(own) == 5
    assert not [place for place in own if f"{paths.program(FOLDER)}/" not in place]


def test_a_jar_runs_through_its_runner_with_its_libraries_beside_it() -> None:
    found = arguments(entry_file="app.jar", libs=("dep.jar",), main_class="org.x.Main")
    assert found["java_class"] == "distributedmarket.Program"
    assert [place.rsplit("/", 1)[1] for place in found["jars"].split(",")] == ["app.jar", "dep.jar"]
    assert decoded(*found["application_args"]) == ["app.jar", "org.x.Main"]


def test_a_python_program_runs_through_the_same_runner() -> None:
    """Java saves what it left and tells how it ended, however Python ends."""
    found = arguments(entry_file="train.ipynb")
    assert found["application"].endswith("/market/lib/market_program.jar")
    assert found["java_class"] == "distributedmarket.Program"
    assert [place.rsplit("/", 1)[1] for place in found["files"].split(",")] == [
        "train.ipynb",
        "market_program.py",
    ]
    assert found["conf"]["spark.yarn.isPython"] == "true"
    assert "spark.yarn.isPython" not in arguments(entry_file="app.jar")["conf"]


def test_results_have_a_folder_in_the_driver_and_a_place_beside_the_output() -> None:
    conf = arguments()["conf"]
    assert conf["spark.yarn.appMasterEnv.MARKET_RESULTS"] == "{{PWD}}/market-results"
    assert "spark.executorEnv.MARKET_RESULTS" not in conf
    assert conf["spark.market.results"].endswith(f"{FOLDER}/results")
    point = arguments(grid={"x": [1, 2]})["conf"]
    assert point["spark.market.results"].endswith("/results/0")
    assert not point["spark.market.unfinished"].startswith(conf["spark.market.results"])


def test_tables_lie_in_the_job_s_own_folder_unless_it_says_otherwise() -> None:
    name = "spark.sql.warehouse.dir"
    assert arguments()["conf"][name].endswith(f"{FOLDER}/working/warehouse")
    assert arguments(spark_conf={name: "mine"})["conf"][name] == "mine"


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
    assert data.endswith(f"{paths.program(FOLDER)}/0/data.zip")
    assert environment.endswith(f"{paths.program(FOLDER)}/1/env.tar.gz#environment")
    for place in ("spark.yarn.appMasterEnv", "spark.executorEnv"):
        assert found["conf"][f"{place}.PYSPARK_PYTHON"] == "./environment/bin/python"
    assert not [name for name in arguments()["conf"] if "PYSPARK_PYTHON" in name]


def test_variables_reach_driver_and_executors_as_they_are() -> None:
    env = {"GREETING": f"{ODD}\n", "EMPTY": ""}
    conf = arguments(env=env)["conf"]
    for place in ("spark.yarn.appMasterEnv", "spark.executorEnv"):
        (encoded,) = decoded(conf[f"{place}.MARKET_VARIABLES"])
        assert json.loads(encoded).items() >= env.items()
        assert conf[f"{place}.GREETING"] == spark_submit.for_shell(env["GREETING"])


def test_the_largest_environment_fits_into_an_argument() -> None:
    env = {"A": "\x01" * (fields._MAX_ENV_BYTES - 1)}
    fields._environment(env)
    conf = arguments(env=env)["conf"]
    assert max(len(f"{name}={value}".encode()) for name, value in conf.items()) < 128 << 10


def test_of_secrets_only_the_names_are_told_and_spark_shows_none() -> None:
    conf = arguments(secrets=("DB_URL", "API"))["conf"]
    hidden = re.compile(conf["spark.redaction.regex"])
    for name in ("DB_URL", "spark.executorEnv.API", "spark.executorEnv.MARKET_SECRETS", "my.password"):
        assert hidden.search(name)
    assert not hidden.search("spark.executorEnv.APIS")
    file = conf["spark.yarn.appMasterEnv.MARKET_SECRETS_FILE"]
    assert file.endswith(f"{FOLDER}/handed/secrets-{'ab' * 16}")
    assert "spark.executorEnv.MARKET_SECRETS_FILE" not in conf
    assert "spark.redaction.regex" not in arguments()["conf"]
    assert spark_submit.secrets_file({"A": "x$y"}) == b"A\0x$y\0x\\$y\0"


@pytest.mark.parametrize(
    ("names", "changes", "brought"),
    [
        (["main.py", "a.csv", "b.txt"], {}, ["a.csv", "b.txt"]),
        (["main.py", "u.py", "a.csv"], {"libs": ["u.py"]}, ["a.csv"]),
        (["main.py", "a b.csv"], {}, []),  # Spark would misread its address
        (["main.py", "sub/a.csv"], {}, []),
        (["main.py", "a.csv", "sub/"], {}, []),
        (["main.py", "a", "b", "c", "d", "e"], {}, []),
        (["src/main.py", "a.csv"], {"entry_file": "src/main.py"}, []),
        (["main.py", "a.csv"], {"root_path": "odd folder"}, ["a.csv"]),
    ],
)
def test_a_few_plain_files_come_one_by_one(
    names: list[str], changes: dict[str, Any], brought: list[str]
) -> None:
    entries = [Entry(name.rstrip("/"), 1, name.endswith("/"), 0) for name in names]
    spec = JobSpec.from_json(ASKED | changes)
    assert list(spark_submit.few(spec, entries)) == brought


def test_a_folder_of_libraries_is_imported_from_where_it_lies() -> None:
    found = arguments(libs=("lib", "lib/dep.zip", "lib/x.jar"), entry_file="src/main.py")
    assert [place.rsplit("/", 1)[1] for place in (found["py_files"], found["jars"])] == ["dep.zip", "x.jar"]
    (told,) = decoded(found["conf"]["spark.executorEnv.MARKET_FOLDER"])
    assert json.loads(told) == {"program": "src/main.py", "paths": ["src", "lib"]}


def test_all_that_spark_writes_for_a_job_lies_in_its_folder() -> None:
    conf = arguments()["conf"]
    assert conf["spark.eventLog.enabled"] == "true"
    for name in (
        "spark.yarn.stagingDir",
        "spark.eventLog.dir",
        spark.FALLBACK,
        "spark.yarn.appMasterEnv.MARKET_OUTPUT",
    ):
        assert conf[name].startswith(f"{settings.load().hdfs_uri}{FOLDER}/"), name
