"""The end of a budget: told at 90 % of the hold, extended where that was asked for, stopped at 100 %."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ledger_world import MINUTE, World

from market.credits.settlement.steps import settle
from market.jobs import runs, store
from market.jobs.intake.extend import extend
from market.jobs.life import limits
from market.kit import clock, settings
from market.kit.errors import NotEnoughCreditError
from market.kit.money import format_credits
from market.people.member import Member

pytestmark = pytest.mark.database

CORE_HOUR = 1_004_000
HOLD = CORE_HOUR


class Running:
    """A job with one container of a core and a GiB, of which the meter sees more and more."""

    def __init__(self, world: World, credits_ucr: int = 15_000_000, **spec: Any) -> None:
        self.world = world
        self.owner = world.member(credits_ucr)
        self.began = clock.now_ms()
        self.job_id = world.job(self.owner, hold_ucr=HOLD, at=self.began - 60 * MINUTE)
        world.stand(self.job_id, "running", started_ms=self.began)
        self.container = world.container(self.job_id, None, self.began - 60 * MINUTE)
        for name, value in spec.items():
            world.sql(
                "UPDATE job SET spec = spec || jsonb_build_object(%s::text, %s::text) WHERE job_id = %s",
                *(name, value, self.job_id),
            )

    @property
    def member(self) -> Member:
        return Member(self.owner, "user1", "user1@example.org", False)

    def uses(self, part: float) -> None:
        """Let the job have used this part of an hour of its container, and look at it."""
        self.world.sql(
            "UPDATE container_usage SET last_seen_ms = start_ms + %s WHERE container_id = %s",
            *(round(60 * MINUTE * part), self.container),
        )
        job = store.find(self.job_id)
        assert job is not None
        limits.enforce([job], runs.under_way([job]), {})

    def shown(self) -> dict[str, Any]:
        job = store.find(self.job_id)
        assert job is not None
        return store.to_wire(job)

    def said(self) -> list[str]:
        return [str(line["reason"]) for line in store.history(self.job_id)]


def test_the_owner_is_told_at_nine_tenths_and_the_job_is_stopped_at_its_end(world: World) -> None:
    job = Running(world)
    job.uses(0.89)
    assert job.shown()["warning"] is None
    job.uses(0.9)
    job.uses(0.99)
    assert "Extend the job" in job.shown()["warning"]
    assert job.said() == ["90 % of its hold of 1.004000 credits is used"], "once"
    assert job.shown()["status"] == "running"
    job.uses(1)
    assert (job.shown()["status"], job.shown()["reason_code"]) == ("cancelling", "credit_exhausted")


def test_a_job_is_never_charged_beyond_its_hold(world: World) -> None:
    job = Running(world)
    job.uses(1.2)
    world.end_container(job.container, job.began + 12 * MINUTE, "killed")
    world.end_job(job.job_id, job.began + 12 * MINUTE)
    world.mark(job.began + 60 * MINUTE)
    world.sql("UPDATE account SET opened_ms = %s", job.began - 60 * MINUTE)
    world.sql(
        "UPDATE container_usage SET start_ms = start_ms - %s, end_ms = end_ms - %s, "
        "last_seen_ms = last_seen_ms - %s",
        *[30 * MINUTE] * 3,
    )
    world.sql("UPDATE job SET ended_ms = ended_ms - %s", 30 * MINUTE)
    world.sql("UPDATE application_usage SET final_ms = final_ms - %s", 30 * MINUTE)

    settle()

    assert world.hold(job.job_id).captured_ucr == world.balances(job.owner).using_ucr == HOLD
    assert world.violations() == []


def test_an_extension_takes_the_warning_back(world: World) -> None:
    job = Running(world, max_credits="1.004000")
    job.uses(0.95)
    extend(job.member, job.job_id, {"max_credits": "1.500000"})
    assert job.shown()["warning"] is None
    job.uses(0.96)
    assert job.shown()["warning"] is None
    job.uses(1.4)
    assert job.shown()["warning"]
    extend(job.member, job.job_id, {"max_credits": "2.000000"})
    assert (job.shown()["hold"], job.shown()["warning"]) == ("2.000000", None)


def test_an_extension_is_priced_with_what_the_hold_locked(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = Running(world)
    loaded = settings.load()
    dearer = {name: settings.MachineType(name, 9_000_000) for name in loaded.types}
    monkeypatch.setattr(settings, "load", lambda *arguments: replace(loaded, types=dearer))
    shown = extend(job.member, job.job_id, {"max_duration": 7200})
    # Three containers of a core and 1 GiB for two hours, at rate 1 and weight 1.
    assert shown["hold"] == format_credits(2 * 3 * (1_000_000 + 4_000))


def test_a_hold_grows_by_itself_in_steps_up_to_what_was_allowed(world: World) -> None:
    job = Running(world, auto_extend_to="2.000000")
    job.uses(0.95)
    assert (job.shown()["hold"], job.shown()["warning"]) == ("1.506000", None)
    job.uses(1.36)
    assert job.shown()["hold"] == "2.000000"
    assert world.balances(job.owner).held_ucr == 2_000_000
    job.uses(1.8)
    assert job.shown()["warning"]
    job.uses(2)
    assert job.shown()["reason_code"] == "credit_exhausted"
    assert job.said()[:2] == [
        "extended by itself to 1.506000 credits",
        "extended by itself to 2.000000 credits",
    ]
    assert world.violations() == []


def test_a_hold_grows_no_further_than_the_owner_s_credit(world: World) -> None:
    job = Running(world, credits_ucr=HOLD + 100_000, auto_extend_to="9.000000")
    job.uses(0.9)
    assert job.shown()["hold"] == format_credits(HOLD + 100_000)
    job.uses(1)
    assert job.shown()["warning"]
    assert job.shown()["status"] == "running"
    assert world.balances(job.owner).available_ucr == 0
    with pytest.raises(NotEnoughCreditError):
        extend(job.member, job.job_id, {"max_credits": "3.000000"})
    job.uses(1.2)
    assert job.shown()["reason_code"] == "credit_exhausted"


def test_a_hold_grows_no_further_than_the_job_s_whole_time_costs(world: World) -> None:
    job = Running(world, auto_extend_to="100.000000")
    world.sql("UPDATE job SET spec = spec || '{\"max_duration\": 1500}'")
    job.uses(0.9)
    assert job.shown()["hold"] == format_credits(3 * (1_000_000 + 4_000) * 1500 // 3600)


def test_what_the_pool_took_does_not_use_the_budget_up(world: World) -> None:
    job = Running(world)
    world.container(job.job_id, world.machine(None), job.began - 50 * MINUTE, job.began - MINUTE, "node_lost")
    job.uses(0.5)
    assert job.shown()["warning"] is None
