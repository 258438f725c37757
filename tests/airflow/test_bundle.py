from __future__ import annotations

import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest
from ledger_world import World
from people import until

from market.airflow import bundle as bundles
from market.airflow.bundle import MarketJobsBundle
from market.kit import database, notify

pytestmark = pytest.mark.database


@pytest.fixture
def bundle(tmp_path: Path) -> MarketJobsBundle:
    made = MarketJobsBundle(name="market-jobs", refresh_interval=1)
    made.base_dir = tmp_path / "files"
    return made


def names(bundle: MarketJobsBundle) -> set[str]:
    return {path.name for path in bundle.path.iterdir()}


def test_each_job_has_a_file_until_it_is_withdrawn(world: World, bundle: MarketJobsBundle) -> None:
    member = world.member()
    first, second = world.job(member), world.job(member)
    bundle.initialize()
    assert names(bundle) == {f"job_{first}.py", f"job_{second}.py"}
    third = world.job(member)
    world.sql("UPDATE job SET withdrawn = true WHERE job_id = %s", first)
    bundle.refresh()
    assert names(bundle) == {f"job_{second}.py", f"job_{third}.py"}


def test_a_file_that_was_written_stays_as_it_is(world: World, bundle: MarketJobsBundle) -> None:
    job = world.job(world.member())
    bundle.initialize()
    file = bundle.path / f"job_{job}.py"
    before = file.stat().st_mtime_ns
    world.sql("UPDATE job SET status = 'accepted' WHERE job_id = %s", job)
    bundle.refresh()
    assert file.stat().st_mtime_ns == before


def test_a_file_of_an_earlier_release_is_written_anew(world: World, bundle: MarketJobsBundle) -> None:
    job = world.job(world.member())
    bundle.initialize()
    file = bundle.path / f"job_{job}.py"
    text, before = file.read_text(), file.stat().st_mtime_ns
    file.write_text(text.replace("market.airflow.dag", "market.jobs.dag"))
    bundle.refresh()
    assert (file.read_text(), file.stat().st_mtime_ns) == (text, before)


def test_the_version_stays_while_no_file_comes_or_goes(world: World, bundle: MarketJobsBundle) -> None:
    """Airflow searches the folder again when the version is another one."""
    job = world.job(world.member())
    bundle.initialize()
    versions = [bundle.get_current_version().version]
    for change in (
        "UPDATE job SET status = 'accepted'",
        "UPDATE job SET withdrawn = true",
        "UPDATE job SET withdrawn = false",
    ):
        world.sql(f"{change} WHERE job_id = %s", job)
        bundle.refresh()
        versions.append(bundle.get_current_version().version)
    before, accepted, withdrawn, again = versions
    assert before == accepted == again != withdrawn


def test_airflow_takes_those_who_came_first_first(world: World, bundle: MarketJobsBundle) -> None:
    """It sorts files by their time, the newest first, and parses again what is newer than its last parse."""
    member = world.member()
    now = round(time.time() * 1000)
    late, early = (world.job(member, at=at) for at in (now, now - 1000))
    bundle.initialize()
    times = {path.stat().st_mtime: path.name for path in bundle.path.iterdir()}
    assert [times[at] for at in sorted(times, reverse=True)] == [f"job_{early}.py", f"job_{late}.py"]
    assert max(times) < now / 1000


@pytest.fixture
def patient(world: World, bundle: MarketJobsBundle, monkeypatch: pytest.MonkeyPatch) -> MarketJobsBundle:
    """A bundle whose folder is there, which waits for a new job for as long as the test may take."""
    bundle.initialize()
    monkeypatch.setattr(bundles, "_WAIT_S", 60)
    monkeypatch.setattr(bundles, "_has_children", lambda: False)  # this process has a server
    return bundle


def test_a_new_job_ends_the_wait_for_one(world: World, patient: MarketJobsBundle) -> None:
    waiting = threading.Thread(target=patient.refresh)
    waiting.start()
    try:
        until(
            lambda: world.one("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN%%'"),
            "the wait",
            30,
        )
        assert waiting.is_alive()
        job = world.job(world.member())
    finally:
        _tell()
        waiting.join(30)
    assert not waiting.is_alive()
    assert names(patient) == {f"job_{job}.py"}


def test_nobody_waits_while_new_files_are_parsed(
    world: World, patient: MarketJobsBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    began = time.monotonic()
    monkeypatch.setattr(bundles, "_PARSED_S", 60)
    world.job(world.member())
    patient.refresh()  # writes the file
    patient.refresh()  # its parser may be about to start
    patient._busy_until = 0.0
    monkeypatch.setattr(bundles, "_has_children", lambda: True)
    patient.refresh()
    assert time.monotonic() - began < 30


def test_a_parser_is_a_child_until_airflow_has_seen_its_end() -> None:
    program = """
        import os
        from market.airflow.bundle import _has_children
        before = _has_children()
        child = os.fork() or os._exit(0)
        os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
        ended = _has_children()
        os.waitpid(child, 0)
        print(before, ended, _has_children())
    """
    words = [sys.executable, "-c", textwrap.dedent(program)]
    assert subprocess.run(words, capture_output=True, text=True, timeout=60).stdout == "False True False\n"


def test_nobody_waits_while_the_server_is_away(world: World, patient: MarketJobsBundle) -> None:
    listener = patient._new_jobs = notify.Listener(notify.NEW_JOB)
    assert listener.wait(0) is False
    world.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%%'")
    began = time.monotonic()
    assert listener.wait(60) is False
    assert time.monotonic() - began < 30
    _tell()
    assert listener.wait(0) is True, "it was not listening then, so a notification may have been missed"
    assert listener.wait(0) is False
    _tell()
    assert listener.wait(30) is True


def _tell() -> None:
    with database.transaction() as cursor:
        notify.notify(cursor, notify.NEW_JOB)


def test_one_job_whose_file_cannot_be_written_keeps_no_other_waiting(
    world: World, bundle: MarketJobsBundle
) -> None:
    member = world.member()
    bad, good = world.job(member), world.job(member)
    world.sql("UPDATE job SET spec = '{}' WHERE job_id = %s", bad)
    bundle.initialize()
    assert names(bundle) == {f"job_{good}.py"}
    world.sql("UPDATE job SET spec = (SELECT spec FROM job WHERE job_id = %s) WHERE job_id = %s", good, bad)
    world.sql("UPDATE setback SET next_ms = 0")
    bundle.refresh()
    assert names(bundle) == {f"job_{good}.py", f"job_{bad}.py"}
