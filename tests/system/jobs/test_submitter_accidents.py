"""The warm submitter killed and frozen, and what it keeps of submissions while nobody else submits.

The applications here ask for a machine type that nobody lends: they wait, and are killed in the end.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest
from people import until
from warm_submitter import Submit, applications, pid, said

from market.kit import settings

pytestmark = [pytest.mark.cluster, pytest.mark.alone]


def test_a_submitter_killed_while_it_submits_fails_the_try_and_the_next_finds_or_submits(
    stack: settings.Settings, submit: Submit, tag: str
) -> None:
    first = submit(tag)
    assert first.stdout is not None
    assert first.stdout.readline()
    killed = pid(stack)
    os.kill(killed, signal.SIGKILL)
    first.communicate(timeout=60)
    until(lambda: pid(stack) not in (0, killed), "a new submitter", 60)
    until(lambda: said(stack), "the new submitter's answer", 60)
    if not applications(tag):
        assert first.returncode == 1
    assert submit(tag).wait(60) == 0
    assert len(applications(tag)) == 1


def test_while_it_is_down_or_frozen_spark_s_own_command_submits(
    stack: settings.Settings, submit: Submit, tag: str
) -> None:
    frozen = pid(stack)
    os.kill(frozen, signal.SIGSTOP)
    try:
        out, _ = submit(tag).communicate(timeout=120)
        assert "the warm submitter is not used" in out
        assert applications(tag)[0] in out
    finally:
        with suppress(ProcessLookupError):  # the watchdog may have ended it meanwhile
            os.kill(frozen, signal.SIGCONT)
    time_limit = time.monotonic() + 3  # what waited at the frozen one is not submitted after all
    while time.monotonic() < time_limit:
        assert len(applications(tag)) == 1
    # Where the watchdog has ended it, a submission while another one starts may fail: not tried here.
    until(lambda: said(stack), "the submitter's answer", 60)


def test_it_keeps_no_file_of_what_it_submitted(stack: settings.Settings, submit: Submit, tag: str) -> None:
    assert submit(tag).wait(60) == 0
    scratch = stack.paths.run / "submitter"

    def left() -> list[Path]:
        folders = list((scratch / "tmp").glob("spark-*"))
        return folders + [path for path in (scratch / "local").rglob("*") if path.is_file()]

    until(lambda: not left(), "folders without a file", 10)  # they are cleared after the answer
