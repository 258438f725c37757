"""A service is well when it is itself what answers: not what an earlier process of it left behind."""

import json
import os
import time
from datetime import UTC, datetime, timedelta

import pytest
from servers import answering

from market.kit import settings
from market.ops.run.lifecycle import problem
from market.ops.run.services import all_services, watchdog_beat


@pytest.fixture
def airflow(tmp_path, monkeypatch):
    """A stack whose api-server says of each component what the test puts into the dictionary."""
    parts = {}

    monkeypatch.setenv("MARKET_STATE_DIR", str(tmp_path))
    (tmp_path / "run").mkdir()
    with answering(lambda path, headers: (200, {}, json.dumps(parts).encode())) as port:
        (tmp_path / "run" / "ports.json").write_text(json.dumps({"api": port}))
        yield parts


@pytest.mark.parametrize("name", ["scheduler", "dag-processor", "triggerer"])
def test_the_heartbeat_of_a_killed_one_is_not_its_own(airflow, tmp_path, name):
    loaded = settings.load()
    service = next(one for one in all_services(loaded) if one.name == name)
    part = name.replace("-", "_")

    def beats(status, ago_s):
        at = datetime.now(UTC) - timedelta(seconds=ago_s)
        airflow[part] = {"status": status, f"latest_{part}_heartbeat": at.isoformat()}

    assert problem(loaded, service) == "its heartbeat is missing"
    beats("healthy", ago_s=5)
    unheard = "it has sent no heartbeat since its start"
    assert problem(loaded, service) == unheard  # none was ever started
    (tmp_path / "run" / f"{name}.group").write_text("4194305")  # above the kernel's highest process id
    assert problem(loaded, service) == unheard
    (tmp_path / "run" / f"{name}.group").write_text(str(os.getpid()))
    assert problem(loaded, service) == unheard
    beats("healthy", ago_s=-1)
    assert problem(loaded, service) == ""
    beats("unhealthy", ago_s=-1)
    assert problem(loaded, service) == "its heartbeat is unhealthy"


def test_a_watchdog_that_does_not_look_is_not_well(tmp_path, monkeypatch):
    monkeypatch.setenv("MARKET_STATE_DIR", str(tmp_path))
    (tmp_path / "run").mkdir()
    loaded = settings.load()
    service = next(one for one in all_services(loaded) if one.name == "watchdog")
    beat, note = watchdog_beat(loaded), tmp_path / "run" / "watchdog.group"
    since = "it has not looked since its start"
    beat.touch()
    assert problem(loaded, service) == since, "an earlier one did"
    note.write_text(str(os.getpid()))
    os.utime(note, (time.time() + 1, time.time() + 1))
    assert problem(loaded, service) == since
    os.utime(note, (time.time() - 60, time.time() - 60))
    assert problem(loaded, service) == ""
    os.utime(beat, (time.time() - 30, time.time() - 30))
    assert problem(loaded, service) == "it has not looked for a while"
