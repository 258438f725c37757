"""What a program's end is called: the error that nothing caught, its cause in Java or a task, a remedy."""

from __future__ import annotations

from typing import Any

import pytest
from market_runner import ending


class Py4JJavaError(Exception):
    pass


class SparkError(Exception):
    pass


EXISTS = """An error occurred while calling o52.saveAsTextFile.
: org.apache.hadoop.mapred.FileAlreadyExistsException: Output directory hdfs://h/x already exists
\tat org.apache.hadoop.mapred.FileOutputFormat.checkOutputSpecs(FileOutputFormat.java:131)
"""
QUOTA = """An error occurred while calling o9.mkdirs.
: org.apache.hadoop.ipc.RemoteException(NSQuotaExceededException): outer
\tat org.apache.hadoop.hdfs.DFSClient.create(DFSClient.java:1)
Caused by: org.apache.hadoop.hdfs.protocol.NSQuotaExceededException: NameSpace quota of directory /j
\tat java.base/java.lang.Thread.run(Thread.java:840)
"""
TASK = """An error occurred while calling z:PythonRDD.collectAndServe.
: org.apache.spark.SparkException: Job aborted due to stage failure: Task 0 in stage 0.0 failed 4 times: \
Lost task 0.3 in stage 0.0: org.apache.spark.api.python.PythonException: Traceback (most recent call last):
  File "worker.py", line 3, in process
ValueError: invalid price 'n/a'

\tat org.apache.spark.api.python.BasePythonRunner$ReaderIterator.handle(PythonRunner.scala:1)

Driver stacktrace:
\tat org.apache.spark.scheduler.DAGScheduler.abort(DAGScheduler.scala:1)
Caused by: org.apache.spark.api.python.PythonException: Traceback (most recent call last):
  File "worker.py", line 3, in process
ValueError: invalid price 'n/a'

\tat org.apache.spark.api.python.BasePythonRunner$ReaderIterator.handle(PythonRunner.scala:1)
"""
LOST = """An error occurred while calling z:PythonRDD.collectAndServe.
: org.apache.spark.SparkException: Job aborted due to stage failure: Lost task 0.0 in stage 0.0: \
ExecutorLostFailure (executor 1 exited caused by one of the running tasks) Reason: Container killed by YARN \
for exceeding physical memory limits. 1.0 GB of 768 MB physical memory used.
"""
HEAP = """An error occurred while calling o1.collectToPython.
: java.lang.OutOfMemoryError: Java heap space
\tat java.base/java.util.Arrays.copyOf(Arrays.java:3537)
"""


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ValueError("the true end ✓"), "ValueError: the true end ✓"),
        (KeyError("colour"), "KeyError: 'colour'"),
        (AssertionError(), "AssertionError"),
        (RuntimeError("two\n  lines"), "RuntimeError: two lines"),
        (Py4JJavaError(EXISTS), "FileAlreadyExistsException: Output directory hdfs://h/x already exists"),
        (Py4JJavaError(TASK), "ValueError: invalid price 'n/a'"),
        (SyntaxError("bad", ("main.py", 3, 1, "x")), "SyntaxError: bad (main.py, line 3)"),
    ],
)
def test_an_error_is_named_with_its_message(error: Exception, words: str) -> None:
    found = ending.of(error)
    assert (found["kind"], found["code"]) == ("error", 1)
    assert found["words"] == words


@pytest.mark.parametrize(
    ("error", "named", "remedy"),
    [
        (ModuleNotFoundError("No module named 'steps'"), "'steps'", "python_env"),
        (EOFError("EOF when reading a line"), "EOFError", "app_params"),
        (Py4JJavaError(QUOTA), "NameSpace quota of directory /j", "delete what you do not need"),
        (
            SparkError("Total size of results is bigger than spark.driver.maxResultSize (1 MiB)"),
            "bigger than",
            "raise spark.driver.maxResultSize in spark_conf",
        ),
    ],
)
def test_an_error_with_one_remedy_tells_it(error: Exception, named: str, remedy: str) -> None:
    words = str(ending.of(error)["words"])
    assert named in words
    assert remedy in words


@pytest.mark.parametrize(
    ("error", "part"),
    [
        (MemoryError(), "driver"),
        (Py4JJavaError(HEAP), "driver"),
        (Py4JJavaError(LOST), "executor"),
        (Py4JJavaError(TASK.replace("ValueError: invalid price 'n/a'", "MemoryError")), "executor"),
    ],
)
def test_memory_is_told_with_the_part_that_lacked_it(error: Exception, part: str) -> None:
    found = ending.of(error)
    assert (found["kind"], found["words"]) == ("out_of_memory", part)


@pytest.mark.parametrize("status", [-109, 153])
def test_an_executor_that_was_stopped_for_its_log_or_disk_lacked_no_memory(status: int) -> None:
    """YARN ends it with a signal, and says so behind its own word."""
    killed = LOST[LOST.index("Container killed") :]
    said = f"Container from a bad node: c on host: h. Exit status: {status}. Diagnostics: [1]exit code 143.\n"
    found = ending.of(Py4JJavaError(LOST.replace(killed, said)))
    assert found["kind"] == "error"
    assert f"Exit status: {status}" in str(found["words"])


def test_a_word_about_memory_in_an_error_is_no_lack_of_it() -> None:
    assert ending.of(ValueError("the OutOfMemory film is not rated"))["kind"] == "error"


@pytest.mark.parametrize(
    ("code", "kind", "number", "words"),
    [
        (None, "well", 0, ""),
        (0, "well", 0, ""),
        (256, "well", 0, ""),
        (3, "exit", 3, ""),
        (-1, "exit", 255, ""),
        ("config.yaml has no key 'epochs'", "exit", 1, "config.yaml has no key 'epochs'"),
    ],
)
def test_what_sys_exit_was_given(code: Any, kind: str, number: int, words: str) -> None:
    assert ending.of(SystemExit(code)) == {"code": number, "kind": kind, "words": words}


def test_an_error_without_words_is_an_end_all_the_same() -> None:
    class SilentError(Exception):
        def __str__(self) -> str:
            raise ValueError("no words")

    assert "SilentError" in str(ending.of(SilentError())["words"])
    assert len(str(ending.of(ValueError("x" * 100_000))["words"])) <= 1000
