"""What the watch cannot see at YARN: what was forgotten, what has no session yet, what lost its machine."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from fake_cluster import Yarn
from ledger_world import World

from market.cluster.resourcemanager import Container
from market.jobs import store
from market.jobs.life import orphans, watch
from market.kit import clock

pytestmark = pytest.mark.database


@pytest.fixture
def job(world: World) -> str:
    job_id = world.job(world.member(), at=clock.now_ms())
    world.stand(job_id, "queued")
    return job_id


def status_of(job_id: str) -> tuple[str, str | None]:
    found = store.find(job_id)
    assert found is not None
    return found.status, found.reason_code


def container(started_ms: int) -> Container:
    return Container("container", "attempt", "h:1", "h", "h:2", 768, 1, started_ms, "RUNNING")


def test_an_application_that_yarn_forgot_after_its_end_is_looked_up(
    world: World, job: str, yarn: Yarn
) -> None:
    """More jobs than it keeps ended while nobody looked: each ends as it has ended."""
    failed, killed, gone = (world.job(world.member(), at=clock.now_ms()) for _ in range(3))
    at_ms = clock.now_ms() + 1_000
    yarn.sums_up(job, "FINISHED", final_status="SUCCEEDED", finished_ms=at_ms)
    memory = "Container is running 1B beyond the 'PHYSICAL' memory limit"
    yarn.sums_up(failed, "FAILED", final_status="FAILED", finished_ms=at_ms, diagnostics=memory)
    yarn.sums_up(killed, "KILLED", final_status="KILLED", finished_ms=at_ms)
    watch.look()
    assert status_of(job) == ("succeeded", None)
    assert status_of(failed) == ("failed", "out_of_memory")
    assert status_of(killed) == ("cancelled", "cancelled")
    assert status_of(gone) == ("lost", "pool_failure"), "of this one nobody says that it has ended"
    assert world.one("SELECT ended_ms FROM job WHERE job_id = %s", job) == at_ms
    assert yarn.read == 1, "the file is read once for all of them"


def test_a_program_s_time_counts_from_its_container_whether_or_not_it_makes_a_session(
    world: World, job: str, yarn: Yarn
) -> None:
    now = clock.now_ms()
    yarn.has(job, "ACCEPTED")
    watch.look()
    assert status_of(job) == ("accepted", None), "there is no room for its driver yet"
    yarn.has(job, "ACCEPTED", running_containers=1, allocated_vcores=1, allocated_mib=768)
    yarn.live[f"application_{job}"] = [container(now - 2_000)]
    watch.look()
    assert status_of(job) == ("running", None)
    assert world.one("SELECT started_ms FROM run WHERE job_id = %s", job) == now - 2_000
    world.sql("UPDATE run SET started_ms = %s WHERE job_id = %s", now - 3_590_000, job)
    watch.look()
    assert status_of(job) == ("running", None)
    world.sql("UPDATE run SET started_ms = %s WHERE job_id = %s", now - 3_601_000, job)
    watch.look()
    assert status_of(job) == ("cancelling", "max_duration")


def test_a_job_that_waited_for_its_machine_has_its_whole_time(world: World, job: str, yarn: Yarn) -> None:
    """YARN's attempt begins when it begins to wait: that is not the start of the program."""
    now = clock.now_ms()
    yarn.has(job, "RUNNING", started_ms=now - 7_200_000)
    yarn.live[f"application_{job}"] = [container(now - 900), container(now - 1_000)]
    watch.look()
    watch.look()
    assert status_of(job) == ("running", None)
    assert world.one("SELECT started_ms FROM run WHERE job_id = %s", job) == now - 1_000


def test_a_driver_whose_machine_was_lost_while_yarn_was_away_is_not_waited_for(
    world: World, job: str, yarn: Yarn, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_s = [0.0]
    monkeypatch.setattr(orphans, "time", SimpleNamespace(monotonic=lambda: at_s[0]))

    def later(seconds: float) -> tuple[str, str | None]:
        at_s[0] += seconds
        orphans.end_all()
        return status_of(job)

    yarn.has(job, "RUNNING")
    world.stand(job, "running", started_ms=clock.now_ms())
    yarn.members = {"h:1": "RUNNING", "h:2": "RUNNING"}
    yarn.started_on = clock.now_ms()
    assert later(0)[0] == "running"
    del yarn.members["h:1"]
    assert later(100)[0] == "running", "machines are still coming back"
    yarn.started_on = 0
    assert later(1)[0] == "running"
    assert later(20)[0] == "running"
    yarn.members["h:1"] = "UNHEALTHY"
    assert later(20)[0] == "running", "it is back"
    yarn.members["h:1"] = "LOST"
    assert later(1)[0] == "running"
    assert later(29)[0] == "running", "YARN may be about to end it itself"
    assert later(2) == ("lost", "pool_failure")
    watch.look()
    assert yarn.killed == [f"application_{job}"]
