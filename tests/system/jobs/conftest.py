"""Tests that submit as a job's task does, beside those that submit jobs."""

from __future__ import annotations

import secrets
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from warm_submitter import TYPE, Submit

from market.hadoop import spark
from market.hadoop.paths import PYTHON_RUNNER, SCRATCH
from market.jobs.life import kill
from market.kit import clock, database, settings
from market.ops.run import submitter
from market.ops.run.services import base_environment

_LASTS_MS = 600_000


@pytest.fixture
def tag(stack: settings.Settings) -> Iterator[str]:
    """Return a tag; kill what was submitted with it in the end.

    It is announced: what the market does not know is killed when a poll sees it, also while its submission
    still waits for YARN's answer.
    """
    chosen = secrets.token_hex(16)
    with database.transaction() as cursor:
        cursor.execute("INSERT INTO announced_work VALUES (%s, %s)", [chosen, clock.now_ms() + _LASTS_MS])
    yield chosen
    kill.applications(chosen)


@pytest.fixture
def submit(stack: settings.Settings) -> Submit:
    """Return a function that starts `spark-submit` as a job's task does."""
    environment = base_environment(stack) | spark.environment(stack)
    environment["PATH"] = f"{submitter.PROGRAMS}:{environment['PATH']}"

    def start(
        tag: str,
        user: str = "ann",
        conf: dict[str, str] | None = None,
        more: dict[str, str] | None = None,
        **options: Any,
    ) -> Any:
        given = {
            "spark.yarn.tags": tag,
            "spark.yarn.am.nodeLabelExpression": TYPE,
            "spark.yarn.stagingDir": stack.hdfs_uri + SCRATCH,
            "spark.yarn.submit.waitAppCompletion": "false",
        } | (conf or {})
        words = ["--master", "yarn", "--deploy-mode", "cluster", "--proxy-user", user, "--queue", TYPE]
        for name, value in given.items():
            words += ["--conf", f"{name}={value}"]
        return subprocess.Popen(
            ["spark-submit", *words, stack.hdfs_uri + PYTHON_RUNNER, "words"],
            env=environment | (more or {}),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            **options,
        )

    return start
