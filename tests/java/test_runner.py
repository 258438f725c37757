"""What starts a Python program in its driver, and what its Python finds."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from pathlib import Path

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
