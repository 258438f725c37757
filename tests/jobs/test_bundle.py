from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ledger_world import World

from market import db, news
from market.jobs import bundle as bundles
from market.jobs.bundle import MarketJobsBundle

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


@pytest.fixture
def patient(
    world: World, bundle: MarketJobsBundle, monkeypatch: pytest.MonkeyPatch
) -> Iterator[MarketJobsBundle]:
    """A bundle whose folder is there, which waits for a new job for as long as the test may take."""
    bundle.initialize()
    monkeypatch.setattr(bundles, "_WAIT_S", 60)
    yield bundle
    assert bundle._news is not None
    bundle._news.close()


def test_a_new_job_ends_the_wait_for_one(world: World, patient: MarketJobsBundle) -> None:
    waiting = threading.Thread(target=patient.refresh)
    waiting.start()
    try:
        while not world.one("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN%%'"):
            time.sleep(0.01)
        assert waiting.is_alive()
        job = world.job(world.member())
    finally:
        with db.transaction() as cursor:
            news.tell(cursor, news.NEW_JOB)
        waiting.join(30)
    assert not waiting.is_alive()
    assert names(patient) == {f"job_{job}.py"}


def test_nobody_waits_while_new_files_are_parsed_or_the_server_is_away(
    world: World, patient: MarketJobsBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.job(world.member())
    began = time.monotonic()
    patient.refresh()  # writes the file
    patient.refresh()  # its parser may be at work
    monkeypatch.setattr(bundles, "_PARSING_S", 0)
    patient._parsed_by = 0.0
    patient._news = news.Listener(news.NEW_JOB)
    assert patient._news.comes(0) is False
    world.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%%'")
    patient.refresh()
    assert time.monotonic() - began < 30
    with db.transaction() as cursor:
        news.tell(cursor, news.NEW_JOB)
    assert patient._news.comes(0) is False, "it was not listening then"
    with db.transaction() as cursor:
        news.tell(cursor, news.NEW_JOB)
    assert patient._news.comes(0) is True
