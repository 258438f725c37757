from __future__ import annotations

from pathlib import Path

import pytest
from ledger_world import World

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
