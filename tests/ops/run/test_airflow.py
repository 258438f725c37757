"""What Airflow is told of the settings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from market.kit import settings
from market.ops.run import airflow, secrets


@pytest.mark.parametrize(("every_ms", "told"), [(200, "0.2"), (1500, "1.5"), (0, "0.02")])
def test_how_often_the_scheduler_looks_for_jobs(tmp_path: Path, every_ms: int, told: str) -> None:
    loaded = settings.load(tmp_path)
    loaded.paths.secrets.mkdir()
    secrets.generate(loaded.paths)
    other = replace(loaded, jobs=replace(loaded.jobs, find_every_ms=every_ms))
    assert airflow.environment(other)["AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME"] == told


def test_the_shipped_file_has_it_look_five_times_a_second(tmp_path: Path) -> None:
    assert settings.load(tmp_path).jobs.find_every_ms == 200
