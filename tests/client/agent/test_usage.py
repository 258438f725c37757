"""The file of what a container used; test_enclosure.py tells what comes to stand in it."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from distributedmarket.agent import tree, usage

CONTAINER = "local/usercache/ann/appcache/application_1_0001/container_1_0001_01_000001"
APPLICATION, NAME = CONTAINER.split("/")[-2:]


def test_no_link_that_the_job_has_laid_is_followed(tmp_path: Path) -> None:
    container = tmp_path / CONTAINER
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    within = tmp_path / "logs" / APPLICATION
    within.mkdir(parents=True)
    (within / NAME).symlink_to(elsewhere)
    usage.Usage(container).end()
    assert not list(elsewhere.iterdir())

    (within / NAME).unlink()
    (within / NAME).mkdir()
    (within / NAME / usage.FILE).symlink_to(elsewhere / "file")
    usage.Usage(container).end()
    assert not list(elsewhere.iterdir())


def test_where_no_file_can_be_made_nothing_is_measured(tmp_path: Path) -> None:
    measured = usage.Usage(tmp_path / CONTAINER)
    measured.begin()
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    measured.end()


def test_a_process_is_seen_with_its_parent_and_its_time() -> None:
    parent, spent = tree.ticks()[os.getpid()]
    assert parent == os.getppid()
    assert spent / os.sysconf("SC_CLK_TCK") == pytest.approx(sum(os.times()[:4]), abs=1)
