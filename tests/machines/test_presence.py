"""What an idle machine earns counts each stretch of time with the size that the machine had then."""

from __future__ import annotations

import pytest
from ledger_world import MINUTE, T0, World

from market.credits.settlement.steps import settle
from market.kit import database
from market.metering import changes

pytestmark = pytest.mark.database

SECOND = 1_000


def observed_at(machine_id: str, *at: int) -> None:
    """Let the meter see a machine online at these times."""
    for one in at:
        with database.transaction() as cursor:
            changes.save_presence(cursor, [machine_id], one, gap_ms=15 * SECOND)


def resize(world: World, machine_id: str, cores: int) -> None:
    world.sql("UPDATE machine SET core_count = %s WHERE machine_id = %s", cores, machine_id)


def stretches(world: World) -> list[tuple[int, int, int]]:
    rows = world.sql("SELECT from_ms, to_ms, cores FROM machine_presence ORDER BY from_ms")
    return [(row.from_ms - T0, row.to_ms - T0, row.cores) for row in rows]


def test_a_new_size_begins_a_new_stretch_where_the_old_one_ends(world: World) -> None:
    machine = world.machine(world.member(), cores=4)
    observed_at(machine, T0, T0 + 2 * SECOND)
    resize(world, machine, 1)
    observed_at(machine, T0 + 4 * SECOND, T0 + 6 * SECOND)
    resize(world, machine, 4)
    observed_at(machine, T0 + 8 * SECOND, T0 + 60 * SECOND)
    assert stretches(world) == [
        (0, 4 * SECOND, 4),
        (4 * SECOND, 8 * SECOND, 1),
        (8 * SECOND, 8 * SECOND, 4),
        (60 * SECOND, 60 * SECOND, 4),
    ]


def test_an_interval_in_which_a_machine_was_resized_counts_both_sizes(world: World) -> None:
    machine = world.machine(world.member(), cores=4)
    job = world.job(world.member())
    world.container(job, machine, T0, T0 + MINUTE, vcores=2)
    observed_at(machine, *range(T0, T0 + 2 * MINUTE, 2 * SECOND))
    resize(world, machine, 1)
    observed_at(machine, *range(T0 + 2 * MINUTE, T0 + 10 * MINUTE + 1, 2 * SECOND))
    world.mark(T0 + 60 * MINUTE)

    settle(T0 + 10 * MINUTE)

    lines = world.sql("SELECT online_ms, used_core_ms, idle_core_ms FROM uptime_line ORDER BY interval_id")
    assert [tuple(line) for line in lines] == [
        (5 * MINUTE, 2 * MINUTE, (2 * 4 + 3 * 1 - 2) * MINUTE),
        (5 * MINUTE, 0, 5 * MINUTE),
    ]
    assert world.violations() == []


def test_a_machine_that_shrinks_leaves_its_closed_intervals_right(world: World) -> None:
    machine = world.machine(world.member(), cores=4)
    world.online(machine, T0, T0 + 5 * MINUTE)
    world.mark(T0 + 60 * MINUTE)
    settle(T0 + 5 * MINUTE)
    resize(world, machine, 1)
    assert world.violations() == []
