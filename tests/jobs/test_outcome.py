from __future__ import annotations

from dataclasses import replace

import pytest

from market.cluster.resourcemanager import App
from market.jobs import outcome

APP = App(
    *("application_1_1", "alice", "digits", "cpu", "FINISHED", "SUCCEEDED", "", ("tag",)),
    *(1, 2, 0, 0, 0, 0, 0, 0, 0, "", ""),
)


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
        ("AM Container for appattempt_1 exited with  exitCode: -100", "pool_failure"),
        ("ApplicationMaster for attempt appattempt_1 timed out", "pool_failure"),
    ],
)
def test_the_reason_is_read_from_the_diagnostics(said: str, code: str) -> None:
    found = outcome.of(replace(APP, state="FAILED", final_status="FAILED", diagnostics=said))
    assert found.reason_code == code
    assert found.reason.endswith((".", "why."))
    assert (found.status == "lost") is (code == "pool_failure")
