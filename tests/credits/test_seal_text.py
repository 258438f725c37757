"""What of a row is sealed: a list of columns with a version, which stands beside the digests."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ledger_world import MINUTE, T0, World

from market.credits.settlement import steps
from market.kit import settings
from market.ops.database import migrate
from market.ops.database.migrate import File

pytestmark = pytest.mark.database
# Columns of sealed tables, as `table.column`, that no text has, each with the reason.
NOT_SEALED: dict[str, str] = {}


@pytest.fixture
def settled(world: World) -> World:
    buyer, lender = world.member(), world.member()
    job = world.job(buyer)
    world.container(job, world.machine(lender), T0, T0 + 8 * MINUTE, role="driver")
    world.end_job(job, T0 + 8 * MINUTE)
    world.mark(T0 + 60 * MINUTE)
    steps.settle(T0 + 5 * MINUTE)
    return world


def test_every_column_of_a_sealed_table_is_sealed(world: World) -> None:
    """A view depends on the columns that it names; a column that nobody decided about fails here."""
    left = world.sql(
        "WITH named AS (SELECT refobjid, refobjsubid FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid"
        " WHERE ev_class IN ('sealable'::regclass, 'journal_text'::regclass, 'hold_entry_text'::regclass)"
        " AND classid = 'pg_rewrite'::regclass AND refclassid = 'pg_class'::regclass)"
        " SELECT relname || '.' || attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid"
        " WHERE relkind = 'r' AND c.oid IN (SELECT refobjid FROM named) AND attnum > 0 AND NOT attisdropped"
        " AND (c.oid, attnum) NOT IN (SELECT refobjid, refobjsubid FROM named)"
    )
    assert {name for (name,) in left} == set(NOT_SEALED)


def test_the_first_text_is_that_of_the_whole_row(settled: World) -> None:
    """Markets from before there were versions have sealed that."""
    settled.sql("SET session_replication_role = replica")
    settled.sql("UPDATE usage_line SET host = %s, machine_id = NULL", 'a "b", (c\\d)\n é')
    settled.sql("UPDATE charge SET container_id = ''")
    for table in (
        "usage_line",
        "charge",
        "hold_entry",
        "payout",
        "demand_line",
    ):
        whole = settled.sql(f"SELECT r::text FROM {table} r ORDER BY 1")
        assert whole
        assert settled.sql("SELECT texts[1] FROM sealable WHERE kind = %s ORDER BY 1", table) == whole


def test_a_text_that_gained_columns_begins_with_the_old_ones(settled: World) -> None:
    [old, new] = settled.one("SELECT texts FROM sealable WHERE kind = 'settlement'")
    assert new == settled.one("SELECT s::text FROM settlement s") == f"{old[:-1]},5000000)"
    rows = settled.sql("SELECT texts FROM sealable WHERE kind = 'account_balance' ORDER BY texts")
    assert [new for [[_, new]] in rows] == [
        row for (row,) in settled.sql("SELECT b::text FROM account_balance b ORDER BY 1")
    ]
    assert all(new == f"{old[:-1]},0)" for [[old, new]] in rows)


def test_seals_of_two_versions_stand_side_by_side(settled: World) -> None:
    sources = migrate.read(settings.ROOT / "sql")
    old = "ARRAY[ROW(container_id, interval_id, amount_ucr, total_ucr)::text]"
    new = old.removesuffix("]") + ", ROW(container_id, interval_id, amount_ucr, total_ucr, later)::text]"
    functions = [File(file.name, file.text.replace(old, new)) for file in sources.functions]
    assert functions != list(sources.functions)
    column = File("schema/9999_x.sql", "ALTER TABLE charge ADD COLUMN later text NOT NULL DEFAULT 'x';")
    owner = settled.server.url(migrate.OWNER)
    migrate.apply(owner, replace(sources, schema=(*sources.schema, column), functions=tuple(functions)))
    steps.settle(T0 + 10 * MINUTE)

    versions = "SELECT interval_id, version FROM seal_page WHERE kind = 'charge' ORDER BY 1"
    assert settled.sql(versions) == [(1, 1), (2, 2)]
    assert settled.sql("SELECT DISTINCT version FROM seal_page WHERE kind IN ('payout', 'usage_line')") == [
        (1,)
    ]
    assert settled.violations() == []
    settled.sql("SET session_replication_role = replica; UPDATE charge SET later = 'y'")
    problems = settled.sql("SELECT interval_id, kind, problem FROM verify_ledger()")
    assert problems == [(2, "charge", "changed")]
