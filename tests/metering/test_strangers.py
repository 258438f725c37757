"""What the market does not know is ended on sight, and no honest job ever is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ledger_world import MINUTE, T0, World
from metering.conftest import APP, FakeResourceManager

from market.cluster.errors import ClusterUnavailable
from market.cluster.resourcemanager import App
from market.credits.settlement.steps import settle
from market.jobs import runs
from market.jobs.spec import JobSpec
from market.kit import audit, database
from market.metering.meter import poll_once

pytestmark = pytest.mark.database

CANARY = "canary-" + "c" * 32


@pytest.fixture
def job(world: World) -> str:
    """A job whose application nobody has seen yet."""
    job_id = world.job(world.member())
    world.sql("DELETE FROM application_usage")
    world.sql("UPDATE run SET application_id = NULL")
    return job_id


def listed(rm: FakeResourceManager, application_id: str, **values: Any) -> App:
    """Let YARN list an application."""
    app = replace(APP, application_id=application_id, started_ms=T0, **values)
    rm.listed[application_id] = app
    return app


def measured(world: World) -> None:
    world.machine(world.member())
    world.sql(
        "INSERT INTO verification (verification_id, machine_id, core_count, started_ms)"
        " SELECT repeat('c', 32), machine_id, 1, %s FROM machine",
        T0,
    )


@pytest.mark.parametrize("state", ["NEW", "NEW_SAVING", "SUBMITTED", "ACCEPTED", "RUNNING"])
@pytest.mark.parametrize(
    "made_up",
    [
        {"user": "mallory"},
        {"tags": ()},
        {"tags": ("f" * 32,)},
        {"user": "market", "queue": "root.default", "tags": ("spark",)},
        {"user": "spark", "tags": (CANARY,)},
    ],
)
def test_what_nobody_knows_is_killed_in_the_first_poll(
    world: World, rm: FakeResourceManager, job: str, state: str, made_up: dict[str, Any]
) -> None:
    listed(rm, "application_1_0007", state=state, **{"tags": (job,), **made_up})

    poll_once(rm, T0 + 2_000)
    assert rm.killed == ["application_1_0007"]
    poll_once(rm, T0 + 4_000)
    assert rm.killed == ["application_1_0007"] * 2, "until it has ended"

    (alert,) = world.sql("SELECT * FROM alert")
    assert (alert.kind, alert.subject) == ("unknown_application", "application_1_0007")
    (line,) = world.sql("SELECT * FROM audit")
    assert (line.kind, line.subject) == ("unknown_application", "application_1_0007")
    assert line.actor == made_up.get("user", "user1")
    assert "It is killed." in line.detail
    assert world.sql("SELECT * FROM container_usage") == []


def test_what_came_and_went_between_two_polls_is_named_all_the_same(
    world: World, rm: FakeResourceManager
) -> None:
    listed(rm, "application_1_0007", state="FINISHED", finished_ms=T0 + 1_000)
    poll_once(rm, T0 + 2_000)
    assert rm.killed == []
    assert world.one("SELECT subject FROM alert") == "application_1_0007"
    assert "ended already" in world.one("SELECT detail FROM audit")


def test_a_second_application_with_the_tag_of_a_run_is_killed(
    world: World, rm: FakeResourceManager, job: str
) -> None:
    """A program knows its job's tag, and may forge an application of its owner's with it."""
    listed(rm, "application_1_0001", tags=(job,))
    poll_once(rm, T0 + 2_000)
    assert rm.killed == [], "its run is being submitted: the market has not stored its application yet"
    world.sql("UPDATE run SET application_id = 'application_1_0001'")
    listed(rm, "application_1_0002", tags=(job,))
    poll_once(rm, T0 + 4_000)
    assert rm.killed == ["application_1_0002"]
    assert world.sql("SELECT application_id FROM application_usage") == [("application_1_0001",)]


def test_the_tag_of_a_job_alone_is_no_run_s(world: World, rm: FakeResourceManager, job: str) -> None:
    spec = JobSpec.from_json(
        world.one("SELECT spec FROM job WHERE job_id = %s", job) | {"grid": {"rate": [1, 2]}}
    )
    world.submitted(job, spec)
    listed(rm, "application_1_0001", tags=(f"{job}-1", job))
    listed(rm, "application_1_0002", tags=(job,))
    poll_once(rm, T0 + 2_000)
    assert rm.killed == ["application_1_0002"]


def test_a_run_that_follows_another_is_known_by_its_own_tag(
    world: World, rm: FakeResourceManager, job: str
) -> None:
    world.sql("UPDATE run SET application_id = 'application_1_0001', status = 'lost', ended_ms = %s", T0)
    world.sql(
        "INSERT INTO run (job_id, point, attempt, tag, status, since_ms) VALUES (%s, 0, 2, %s, 'queued', %s)",
        job,
        runs.next_tag(job, 1),
        T0,
    )
    listed(rm, "application_1_0002", tags=(f"{job}.2", job))
    poll_once(rm, T0 + 2_000)
    assert rm.killed == []
    assert world.sql("SELECT * FROM alert") == []


def test_a_job_that_is_stored_while_the_poll_goes_on_is_not_killed(
    world: World, rm: FakeResourceManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The market stores a run before YARN has it, and reads its runs after it asked YARN."""
    asked = rm.apps

    def as_late_as_can_be(**options: Any) -> list[App]:
        if not rm.listed:
            job_id = world.job(world.member())
            world.sql("UPDATE run SET application_id = NULL")
            listed(rm, "application_1_0001", state="NEW", tags=(job_id,))
        return asked(**options)

    monkeypatch.setattr(rm, "apps", as_late_as_can_be)
    poll_once(rm, T0 + 2_000)
    assert rm.listed
    assert rm.killed == []
    assert world.sql("SELECT * FROM alert") == []


def test_a_canary_is_known_while_it_goes_on_and_while_it_is_being_killed(
    world: World, rm: FakeResourceManager
) -> None:
    measured(world)
    listed(rm, "application_1_0001", user="spark", tags=(CANARY,))
    poll_once(rm, T0 + 2_000)
    world.sql("UPDATE verification SET ended_ms = %s, outcome = 'none', detail = ''", T0 + 3_000)
    poll_once(rm, T0 + 4_000)
    assert rm.killed == []
    poll_once(rm, T0 + 60_000)
    assert rm.killed == ["application_1_0001"], "it was given up, and came to YARN after that"


def test_only_the_first_that_bears_a_canary_s_tag_is_the_market_s(
    world: World, rm: FakeResourceManager
) -> None:
    measured(world)
    listed(rm, "application_1_0001", user="spark", tags=(CANARY,))
    listed(rm, "application_1_0002", user="spark", tags=(CANARY,))
    poll_once(rm, T0 + 2_000)
    assert rm.killed == ["application_1_0002"]


def test_what_an_operator_announced_runs_until_its_time_is_over(
    world: World, rm: FakeResourceManager
) -> None:
    world.sql("INSERT INTO announced_work VALUES ('bench', %s)", T0 + 10_000)
    listed(rm, "application_1_0001", user="bench", tags=("bench",))
    poll_once(rm, T0 + 2_000)
    assert rm.killed == []
    poll_once(rm, T0 + 12_000)
    assert rm.killed == ["application_1_0001"]


def test_one_that_cannot_be_killed_keeps_no_other_alive(
    world: World, rm: FakeResourceManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (1, 2):
        listed(rm, f"application_1_000{number}")
    kill = rm.kill

    def refuses_the_first(application_id: str) -> None:
        if application_id.endswith("1"):
            raise RuntimeError("refused")
        kill(application_id)

    monkeypatch.setattr(rm, "kill", refuses_the_first)
    poll_once(rm, T0 + 2_000)
    assert rm.killed == ["application_1_0002"]


def test_a_resource_manager_that_goes_away_is_told(
    world: World, rm: FakeResourceManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(application_id: str) -> None:
        raise ClusterUnavailable("away")

    listed(rm, "application_1_0001")
    monkeypatch.setattr(rm, "kill", away)
    with pytest.raises(ClusterUnavailable):
        poll_once(rm, T0 + 2_000)
    assert world.one("SELECT count(*) FROM audit") == 1, "what was seen is written all the same"


def test_a_thousand_of_them_fill_neither_the_alerts_nor_the_audit(
    world: World, rm: FakeResourceManager
) -> None:
    for number in range(1000):
        listed(rm, f"application_1_{number:04}", tags=())
    poll_once(rm, T0 + 2_000)
    assert len(rm.killed) == 1000
    assert world.one("SELECT count(*) FROM alert") == 29
    assert world.one("SELECT count(*) FROM audit") == 30
    assert world.one("SELECT detail FROM audit ORDER BY audit_id DESC LIMIT 1").startswith("There is more")


def test_the_owner_of_the_machine_is_paid_as_if_it_had_been_idle(
    world: World, rm: FakeResourceManager
) -> None:
    """What a stranger takes of one of two equal machines makes no difference to their pay."""
    lenders = [world.member(), world.member()]
    nodes = []
    for lender in lenders:
        machine_id = world.machine(lender)
        nodes.append(world.one("SELECT ip_address || ':8041' FROM machine WHERE machine_id = %s", machine_id))
        rm.node(nodes[-1])
    listed(rm, APP.application_id, tags=())
    for second in range(0, 302, 2):
        if second == 100:
            rm.start(1, nodes[0], T0 + 100_000, vcores=4)
        if second == 104:
            rm.end(T0 + 104_000, state="KILLED")
        poll_once(rm, T0 + second * 1000)
    settle(T0 + 5 * MINUTE)

    shared = [world.balances(lender).sharing_ucr for lender in lenders]
    assert shared[0] == shared[1] > 0
    assert world.violations() == []


def test_the_market_s_own_role_cannot_change_the_audit(world: World) -> None:
    with database.transaction() as cursor:
        audit.write(cursor, audit.ROTATION, "admin", "db_airflow", "made anew")
    for statement in (
        "UPDATE audit SET detail = ''",
        "DELETE FROM audit",
        "TRUNCATE audit",
        "INSERT INTO audit (at_ms, kind, actor, subject, detail) VALUES (0, 'refusal', '', '', '')",
    ):
        with pytest.raises(Exception, match="permission denied"), database.transaction() as cursor:
            cursor.execute(statement)
        if not statement.startswith("INSERT"):
            with pytest.raises(Exception, match="only ever added"):
                world.sql(statement)
    assert world.one("SELECT count(*) FROM audit") == 1
