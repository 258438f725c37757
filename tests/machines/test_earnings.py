"""What a machine has earned is the sum of its payouts, of which only new ones are read."""

from __future__ import annotations

import pytest
from ledger_world import T0

from market.kit import database
from market.machines import contributions, earnings, registry

pytestmark = pytest.mark.database
MINUTE_MS = 60_000


def earned(machine_id: str) -> int:
    with database.transaction() as cursor:
        return earnings.earned_ucr(cursor, machine_id)


def settle(lenders, machine_id: str, number: int, captured: int, stipend: int = 7) -> None:
    since = T0 + number * MINUTE_MS
    world = lenders.world
    world.sql(
        "INSERT INTO settlement VALUES (%s, %s, %s, 0, 0, 0, 1, 1, 1, 1, 0) ON CONFLICT DO NOTHING",
        *(number, since, since + MINUTE_MS),
    )
    world.sql(
        "INSERT INTO payout VALUES (%s, %s, %s, %s, %s, %s)",
        *(number, machine_id, lenders.anna.user_id, captured, captured // 10, stipend),
    )


def test_each_interval_is_added_once(lenders) -> None:
    machine_id, other = (lenders.world.machine(lenders.anna.user_id) for _ in range(2))
    assert earned(machine_id) == 0
    for number in (1, 2):
        settle(lenders, machine_id, number, 1000)
        settle(lenders, other, number, 50)
    assert [earned(machine_id) for _ in range(3)] == [2 * 907] * 3
    settle(lenders, machine_id, 4, 10)  # one in which it earned nothing lies between
    assert earned(machine_id) == 2 * 907 + 16
    assert earned(other) == 2 * (45 + 7)
    assert registry.get(lenders.anna, machine_id)["earned"] == "0.001830"


def test_a_process_that_has_forgotten_adds_up_the_same(lenders, monkeypatch: pytest.MonkeyPatch) -> None:
    machines = [lenders.world.machine(lenders.anna.user_id) for _ in range(3)]
    for number, machine_id in enumerate(machines, 1):
        settle(lenders, machine_id, number, 1000)
    monkeypatch.setattr(earnings, "_MOST", 1)
    assert [earned(machine_id) for machine_id in machines * 2] == [907] * 6
    assert len(earnings._sums) == 1


def test_another_database_is_added_up_by_itself(lenders) -> None:
    machine_id = lenders.world.machine(lenders.anna.user_id)
    earnings._sums[machine_id] = earnings._Sum(database=1, interval=99, earned_ucr=5)
    settle(lenders, machine_id, 1, 1000)
    assert earned(machine_id) == 907


def test_only_what_is_new_is_read(lenders) -> None:
    machine_id = lenders.world.machine(lenders.anna.user_id)
    settle(lenders, machine_id, 1, 1000)
    assert earned(machine_id) == 907
    with database.transaction() as cursor:
        parameters = []

        class Watched:
            def execute(self, query: str, values: dict[str, object]) -> None:
                parameters.append(values)
                cursor.execute(query, values)

            def fetchone(self) -> object:
                return cursor.fetchone()

        assert earnings.earned_ucr(Watched(), machine_id) == 907
    assert parameters == [{"machine": machine_id, "known": 1}]


def test_what_its_owner_gave_back_is_off_it(lenders) -> None:
    machine_id = lenders.world.machine(lenders.anna.user_id)
    settle(lenders, machine_id, 1, 1000)
    assert earned(machine_id) == 907
    job_id, world = lenders.world.job(lenders.anna.user_id), lenders.world
    world.sql(
        "INSERT INTO refund VALUES (%s, 1, 1, 0, 500, 0, 450, %s, %s)",
        *(job_id, machine_id, lenders.anna.user_id),
    )
    settle(lenders, machine_id, 2, 0)
    world.sql("INSERT INTO repayment VALUES (%s, 1, 2, 450)", job_id)
    assert earned(machine_id) == 907 + 7 - 450
    assert registry.get(lenders.anna, machine_id)["earned"] == "0.000464"
    lines = contributions.of_machine(lenders.anna, machine_id)
    assert [line["jobs_earned"] for line in lines] == ["0.000900", "-0.000450"]
    assert contributions.totals(lines)["earned"] == "0.000464"
