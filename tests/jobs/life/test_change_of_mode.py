"""What YARN took before `[security] mode` was changed ends with the market's own reason; the rest goes on."""

from __future__ import annotations

import pytest
from fake_cluster import Yarn
from ledger_world import World

from market.jobs import store
from market.jobs.life import change_of_mode, status, watch
from market.kit import clock, settings

pytestmark = pytest.mark.database


def end_of(job_id: str) -> tuple[str, str | None, str]:
    found = store.find(job_id)
    assert found is not None
    return found.status, found.reason_code, found.reason


def test_what_yarn_took_in_the_other_mode_ends_as_the_pool_s_failure(world: World, yarn: Yarn) -> None:
    taken, ran, own, waits = (world.job(world.member(), at=clock.now_ms()) for _ in range(4))
    world.stand(waits, "submitted")
    for job_id, there in ((taken, "accepted"), (ran, "running"), (own, "accepted")):
        world.stand(job_id, there, application_id=f"application_{job_id}")
    world.sql("UPDATE submission SET mode = 'kerberos' WHERE job_id = %s", own)

    assert change_of_mode.end_of_others(settings.KERBEROS) == 2
    assert end_of(own)[0] == "accepted"
    assert end_of(waits)[0] == "submitted"
    assert end_of(taken)[0] == end_of(ran)[0] == "cancelling"
    assert change_of_mode.end_of_others(settings.KERBEROS) == 0, "once"

    # YARN's own words would blame the program; one that came to its end before is believed.
    words = f"Application application_{taken} failed 1 times due to AM Container exited with exitCode: -1000"
    yarn.has(taken, "FAILED", final_status="FAILED", diagnostics=words)
    yarn.has(ran, "FINISHED", final_status="SUCCEEDED")
    watch.look()
    assert end_of(taken) == ("failed", "pool_failure", change_of_mode.REASON)
    assert end_of(ran) == ("succeeded", None, "")


def test_a_run_is_handed_over_in_the_market_s_mode(world: World) -> None:
    job_id = world.job(world.member(), at=clock.now_ms())
    world.stand(job_id, "queued")
    world.sql("DELETE FROM submission WHERE job_id = %s", job_id)
    assert status.hand_over(str(world.one("SELECT tag FROM run WHERE job_id = %s", job_id)))
    mode = world.one("SELECT mode FROM submission WHERE job_id = %s", job_id)
    assert mode == settings.load().security.mode
