"""What starts a Python program in its driver, and what its Python finds."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from odd_texts import ODD

from market.jobs.submission import spark_submit
from market.kit import settings

RUNNER = settings.ROOT / "java" / "runner"
WAITS = """
import os, select
from pyspark import accumulators

reading, writing = os.pipe()
poll = accumulators.select.poll()
poll.register(reading, accumulators.select.POLLIN)
print(poll.poll(3_600_000))
os.write(writing, b"x")
print(poll.poll(3_600_000) == [(reading, select.POLLIN)], select.poll is not accumulators.select.poll)
"""

CONVERTERS = """
class NumpyScalarConverter:
    def can_convert(self, value):
        raise AssertionError("asked as PySpark asks")

class NumpyArrayConverter(NumpyScalarConverter):
    pass
"""
CONVERTS = """
import sys
from pyspark.sql.types import NumpyArrayConverter, NumpyScalarConverter

scalar, array = NumpyScalarConverter().can_convert, NumpyArrayConverter().can_convert
print(scalar(1), array([1]), "numpy" in sys.modules)
import numpy
print(scalar(numpy.generic()), scalar(1), array(numpy.ndarray(1)), array(numpy.ndarray(2)), array([1]))
"""
NUMPY = """
class generic: pass
class ndarray:
    def __init__(self, ndim):
        self.ndim = ndim
"""


def test_python_finds_the_true_variables_in_its_environment() -> None:
    variables = base64.urlsafe_b64encode(json.dumps({"MARKET_INPUT": ODD}).encode()).decode().rstrip("=")
    shown = subprocess.run(
        [sys.executable, "-c", "import os; print(os.environ['MARKET_INPUT'])"],
        env=os.environ | {"PYTHONPATH": str(RUNNER), "MARKET_VARIABLES": variables, "MARKET_INPUT": "quoted"},
        capture_output=True,
        check=True,
        text=True,
    )
    assert shown.stdout == ODD + "\n"


def run_program(folder: Path, text: str, *parameters: str) -> subprocess.CompletedProcess[str]:
    (folder / "train.py").write_text(text)
    call = spark_submit.encoded("train.py", "", *parameters)
    return subprocess.run(
        [sys.executable, str(RUNNER / "market_program.py"), call],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_a_program_runs_as_if_started_by_itself(tmp_path: Path) -> None:
    program = (
        "import sys, __main__\n"
        "def helper(): pass\n"
        "assert __name__ == '__main__' and __main__.helper is helper and __file__.endswith('/train.py')\n"
        "assert sys.modules['__main__'].helper is helper\n"
        "print(repr(sys.argv))\n"
    )
    params = ["", "a\nb", "{{ ds }}", "$(id)", "ü"]
    shown = run_program(tmp_path, program, *params)
    assert shown.stdout == repr(["train.py", *params]) + "\n", shown.stderr


LOOKS = """
import os, sys, json
import helper, beside, mypkg.deep.part
from inside import WORD
with open("kept.txt", "a") as file:
    file.write("mine")
found = open("data.csv").read(), open("sub/x.txt").read(), open("kept.txt").read(), WORD
print(json.dumps([*found, sys.argv[0], os.path.relpath(__file__), os.path.islink("data.csv")]))
"""


@pytest.fixture
def unpacked(tmp_path: Path) -> Path:
    """Return a container's working folder in which YARN has unpacked what lies beside a program."""
    cache, work = tmp_path / "cache", tmp_path / "work"
    tree = {
        "src/train.py": LOOKS,
        "src/helper.py": "",
        "beside.py": "",
        "data.csv": "1,2",
        "kept.txt": "",
        "tmp/inner.txt": "theirs",
        "sub/x.txt": "x",
        "mypkg/deep/part.py": "",
        "lib/inside.py": "WORD = 'of a folder of libs'",
        "pack/__init__.py": "",
        "launch_container.sh": "not YARN's",
    }
    for name, text in tree.items():
        (cache / name).parent.mkdir(parents=True, exist_ok=True)
        (cache / name).write_text(text)
        (cache / name).chmod(0o500)
    (work / "tmp").mkdir(parents=True)
    (work / "launch_container.sh").write_text("YARN's")
    (work / "__root_path__").symlink_to(cache)
    return work


def in_container(work: Path, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    told = {"program": "src/train.py", "paths": ["src", "lib", "pack"]}
    folder = base64.urlsafe_b64encode(json.dumps(told).encode()).decode().rstrip("=")
    given = {"PYTHONPATH": str(RUNNER), "MARKET_JOB_ID": "0" * 32, "MARKET_FOLDER": folder} | variables
    return subprocess.run(
        [sys.executable, *command],
        cwd=work,
        env=os.environ | given,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_a_driver_finds_what_lies_beside_its_program_and_may_change_it(unpacked: Path) -> None:
    call = spark_submit.encoded("train.py", "")
    shown = in_container(unpacked, str(RUNNER / "market_program.py"), call, PYSPARK_GATEWAY_PORT="1")
    assert shown.returncode == 0, shown.stderr
    found = ["1,2", "x", "mine", "of a folder of libs", "src/train.py", "src/train.py", False]
    assert json.loads(shown.stdout) == found
    assert (unpacked / "launch_container.sh").read_text() == "YARN's"
    assert (unpacked / "tmp" / "inner.txt").read_text() == "theirs"
    assert (unpacked.parent / "cache" / "kept.txt").read_text() == "", "the driver has copies of its own"


def test_a_driver_has_copies_of_the_files_that_yarn_brought_one_by_one(unpacked: Path) -> None:
    (unpacked / "__root_path__").unlink()
    (unpacked / "data.csv").symlink_to(unpacked.parent / "cache" / "data.csv")
    text = "open('data.csv', 'a').write('more'); print(open('data.csv').read())"
    copies = spark_submit.encoded("data.csv", "gone.csv")
    shown = in_container(unpacked, "-c", text, PYSPARK_GATEWAY_PORT="1", MARKET_COPIES=copies)
    assert shown.stdout == "1,2more\n", shown.stderr
    assert (unpacked.parent / "cache" / "data.csv").read_text() == "1,2"


def test_packages_come_before_the_machine_s_own_and_behind_spark(unpacked: Path) -> None:
    packages = unpacked.parent / "packages"
    packages.mkdir()
    for name in ("probe", "market_secrets", "requests", "json"):
        (packages / f"{name}.py").write_text("WORD = 'packed'\n")
    (unpacked / "__packages__").symlink_to(packages)
    text = (
        "import json, probe, market_secrets, requests;"
        "print([hasattr(one, 'WORD') for one in (probe, market_secrets, requests, json)])"
    )
    assert in_container(unpacked, "-c", text).stdout == "[True, False, True, False]\n"


def test_a_process_that_a_program_starts_brings_nothing_back(unpacked: Path) -> None:
    text = (
        "import os, subprocess, sys; os.remove('data.csv');"
        "subprocess.run([sys.executable, '-c', 'import helper'], check=True);"
        "print(os.path.lexists('data.csv'))"
    )
    shown = in_container(unpacked, "-c", text, PYSPARK_GATEWAY_PORT="1")
    assert shown.stdout == "False\n", shown.stderr


def test_an_executor_imports_what_lies_beside_and_reads_it(unpacked: Path) -> None:
    text = (
        "import helper, beside, inside, pack, mypkg.deep.part, sys;"
        "print(open('data.csv').read(), sys.path[0])"
    )
    (unpacked.parent / "cache" / "worker.py").write_text(text)
    for _ in range(2):  # Java starts Python again where it has died
        shown = in_container(unpacked, "-m", "worker")
        assert shown.stdout == f"1,2 {unpacked}\n", shown.stderr
    assert (unpacked / "data.csv").is_symlink()


def test_an_executor_is_handed_the_secrets() -> None:
    values = {"API_KEY": ODD + "\n"}
    handed = base64.urlsafe_b64encode(json.dumps(values).encode()).decode()
    shown = subprocess.run(
        [
            sys.executable,
            "-c",
            "import os; print(repr(os.environ['API_KEY']), 'MARKET_SECRETS' in os.environ)",
        ],
        env=os.environ | {"PYTHONPATH": str(RUNNER), "MARKET_SECRETS": handed},
        capture_output=True,
        check=True,
        text=True,
    )
    assert shown.stdout == f"{ODD + chr(10)!r} False\n"


def test_a_program_that_fails_shows_its_own_lines_only(tmp_path: Path) -> None:
    shown = run_program(tmp_path, "def f():\n    raise ValueError('no')\nf()\n")
    assert shown.returncode == 1
    assert "train.py" in shown.stderr
    assert "market_program" not in shown.stderr


def test_a_program_s_exit_code_is_its_own(tmp_path: Path) -> None:
    assert run_program(tmp_path, "import sys; sys.exit(7)").returncode == 7


def test_pyspark_s_server_does_not_wait_long_for_its_end(tmp_path: Path) -> None:
    (tmp_path / "pyspark").mkdir()
    (tmp_path / "pyspark" / "accumulators.py").write_text("import select\n")
    shown = run_program(tmp_path, WAITS)
    assert shown.stdout.split() == ["[]", "True", "True"], shown.stderr


def test_numpy_s_values_are_known_without_importing_more_than_the_program_has(tmp_path: Path) -> None:
    (tmp_path / "pyspark" / "sql").mkdir(parents=True)
    (tmp_path / "pyspark" / "accumulators.py").write_text("import select\n")
    (tmp_path / "pyspark" / "sql" / "types.py").write_text(CONVERTERS)
    (tmp_path / "numpy.py").write_text(NUMPY)
    shown = run_program(tmp_path, CONVERTS)
    assert shown.stdout.splitlines() == ["False False False", "True False True False False"], shown.stderr
