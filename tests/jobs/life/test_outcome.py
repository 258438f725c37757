from __future__ import annotations

from dataclasses import replace

import pytest

from market.cluster.resourcemanager import App
from market.jobs.life import outcome

APP = App(
    *("application_1_1", "alice", "digits", "cpu", "FINISHED", "SUCCEEDED", "", ("tag",)),
    *(1, 2, 0, 0, 0, 0, 0, 0, 0, "", ""),
)

GIVEN_UP = "Application application_1_1 failed 2 times (global limit =3; local limit is =2) due to "
CLAIMS = f"preempted, lost node, exitCode: -100, {GIVEN_UP}AM Container for a exited with  exitCode: -100"


def test_success_needs_both_of_yarn_s_words() -> None:
    assert outcome.of(APP).status == "succeeded"
    assert outcome.of(replace(APP, final_status="FAILED")).status == "failed"


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("User application exited with status 1", "user_error"),
        ("User class threw exception: java.lang.IllegalStateException", "user_error"),
        ("Container [pid=1] is running 1B beyond the 'PHYSICAL' memory limit", "out_of_memory"),
        ("Reason: Container killed by YARN for exceeding physical memory limits", "out_of_memory"),
        ("java.lang.OutOfMemoryError: Java heap space", "out_of_memory"),
        (f"{GIVEN_UP}AM Container for appattempt_1 exited with  exitCode: -100\nFailing", "pool_failure"),
        (f"{GIVEN_UP}Error launching appattempt_1. Got exception: java.net.ConnectException", "pool_failure"),
        (f"{GIVEN_UP}ApplicationMaster for attempt appattempt_1 timed out", "user_error"),
        (f"{GIVEN_UP}AM Container for appattempt_1 exited with  exitCode: 13\n{CLAIMS}", "user_error"),
        (f"User class threw exception: java.lang.Exception: {CLAIMS}", "user_error"),
        (
            f"{GIVEN_UP}AM Container for appattempt_1 exited with  exitCode: -109\nFailing this attempt."
            "Diagnostics: Container [pid=1,containerID=c] is logging beyond the container single log "
            "directory limit.\nLimit: 50331648 Log Directory Size: 62914711 Log Directory: /l\nKilling",
            "log_limit",
        ),
        (f"{GIVEN_UP}AM Container for appattempt_1 exited with  exitCode: 153\nFailing", "disk_limit"),
        (f"{GIVEN_UP}AM Container for a exited with  exitCode: 153\nOutOfMemoryError", "disk_limit"),
        (f"{GIVEN_UP}AM Container for a exited with  exitCode: -104\nExit status: 153", "out_of_memory"),
        (f"{GIVEN_UP}AM Container for a exited with  exitCode: 152\nExit status: 153", "out_of_memory"),
        (
            f"{GIVEN_UP}AM Container for a exited with  exitCode: 13\nLast 4096 bytes of stderr:\n"
            "{{JAVA_HOME}}/bin/java -server -Xmx512m -XX:OnOutOfMemoryError='kill %p'",
            "user_error",
        ),
        (f"{GIVEN_UP}AM Container for appattempt_1 exited with  exitCode: 1530\nFailing", "user_error"),
    ],
)
def test_the_reason_is_read_from_the_diagnostics(said: str, code: str) -> None:
    found = outcome.of(replace(APP, state="FAILED", final_status="FAILED", diagnostics=said))
    assert found.reason_code == code
    assert found.reason.endswith((".", "why."))
    assert (found.status == "lost") is (code == "pool_failure")


def test_the_driver_s_own_word_is_believed_of_the_program_only() -> None:
    said = 'MARKET-END {"code": 3, "kind": "exit", "words": "", "notes": ""}'
    found = outcome.of(replace(APP, final_status="FAILED", diagnostics=said))
    assert (found.status, found.reason) == ("failed", "The program ended with exit code 3. Its log says why.")
    notes = 'MARKET-END {"code": 0, "kind": "well", "words": "", "notes": "Not saved: a"}'
    found = outcome.of(replace(APP, diagnostics=notes))
    assert (found.status, found.reason_code, found.reason) == ("succeeded", None, "Not saved: a")
    killed = outcome.of(replace(APP, state="KILLED", final_status="KILLED", diagnostics=notes))
    assert killed.status == "cancelled"


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (13, "failed: its log"),
        (137, "killed by signal 9: its log"),
        (3, "failed with exit code 3: its log"),  # Runtime.halt(3)
    ],
)
def test_spark_s_own_exit_codes_are_not_the_program_s(code: int, words: str) -> None:
    said = f"{GIVEN_UP}AM Container for appattempt_1 exited with  exitCode: {code}\nFailing"
    found = outcome.of(replace(APP, state="FAILED", final_status="FAILED", diagnostics=said))
    assert found.reason_code == "user_error"
    assert words in found.reason
    assert "13" not in found.reason


def test_what_an_application_says_of_itself_is_not_the_pool_s_failure() -> None:
    """What is the pool's is refunded: a program that hangs up with YARN's words must not get that."""
    said = f"{GIVEN_UP}AM Container for appattempt_1 exited with  exitCode: -100"
    found = outcome.of(replace(APP, state="FINISHED", final_status="FAILED", diagnostics=said))
    assert (found.status, found.reason_code) == ("failed", "user_error")


FAILED = replace(APP, final_status="FAILED", diagnostics="User application exited with status 1")
MISTAKE = """round 1
Traceback (most recent call last):
  File "main.py", line 14, in <module>
    main()
ZeroDivisionError: division by zero
"""
LOST = """Traceback (most recent call last):
  File "main.py", line 9, in main
py4j.protocol.Py4JJavaError: An error occurred while calling z:PythonRDD.collectAndServe.
: org.apache.spark.SparkException: Job aborted due to stage failure: Task 0 in stage 0.0 failed 1 times, \
most recent failure: Lost task 0.0 in stage 0.0 (TID 0) (h executor 1): ExecutorLostFailure (executor 1 \
exited caused by one of the running tasks) Reason: Container killed by YARN for exceeding physical memory \
limits. 1.0 GB of 768 MB physical memory used.
\tat java.base/java.lang.Thread.run(Thread.java:840)
"""
KILLED = (
    "Container killed by YARN for exceeding physical memory limits. 1.0 GB of 768 MB physical memory used."
)
assert KILLED in LOST
IN_A_TASK = """Traceback (most recent call last):
  File "main.py", line 9, in main
py4j.protocol.Py4JJavaError: An error occurred while calling z:PythonRDD.collectAndServe.
: org.apache.spark.SparkException: Job aborted due to stage failure: Task 0 failed
Caused by: org.apache.spark.api.python.PythonException: Traceback (most recent call last):
  File "worker.py", line 3, in process
ValueError: no such \x1b[31m word

\tat org.apache.spark.api.python.BasePythonRunner
"""


@pytest.mark.parametrize(
    ("log", "code", "words"),
    [
        (MISTAKE, "user_error", "with exit code 1: ZeroDivisionError: division by zero. Its log says where."),
        (IN_A_TASK, "user_error", "with exit code 1: ValueError: no such  [31m word. Its log says where."),
        ("the last words\n", "user_error", "with exit code 1: its log says why."),
        ("", "user_error", "with exit code 1: its log says why."),
        (LOST, "out_of_memory", "ask for more executor_memory."),
        ("Traceback (most recent call last):\n  File\nMemoryError\n", "out_of_memory", "more driver_memory."),
        ("MemoryError was the title of the film\n" + MISTAKE, "user_error", "division by zero"),
        (LOST.replace(KILLED, "Container from a bad node: c. Exit status: 153."), "disk_limit", "16384 MiB"),
        (
            LOST.replace(KILLED, "Container from a bad node: c. Exit status: 152."),
            "out_of_memory",
            "executor",
        ),
        (LOST.replace(KILLED, "Container from a bad node: c. Exit status: -109."), "log_limit", "512 MiB"),
        ("Exit status: 153 is what I print\n" + MISTAKE, "user_error", "division by zero"),
    ],
)
def test_the_driver_s_log_says_what_yarn_does_not(log: str, code: str, words: str) -> None:
    found = outcome.explained(FAILED, log)
    assert (found.status, found.reason_code) == ("failed", code)
    assert words in found.reason
    assert found.reason.isprintable()


@pytest.mark.parametrize(
    ("log", "code", "words"),
    [
        (
            "ERROR Lost executor 1: Container killed by YARN for exceeding physical memory limits.",
            "out_of_memory",
            "more executor_memory",
        ),
        (
            "ERROR Lost executor 1: Exit status: 50. Uncaught exception",
            "user_error",
            "executors ended too often",
        ),
        ("ERROR Lost executor 1: Exit status: 153. Diagnostics", "disk_limit", "a machine's disk"),
        ("ERROR Lost executor 1: Exit status: -109. Diagnostics", "log_limit", "print less"),
    ],
)
def test_executors_that_end_too_often(log: str, code: str, words: str) -> None:
    given_up = replace(FAILED, diagnostics="Max number of executor failures (3) reached")
    found = outcome.explained(given_up, log)
    assert found.reason_code == code
    assert words in found.reason
