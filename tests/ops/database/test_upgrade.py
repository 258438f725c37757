"""A market that release 896a177 left is upgraded with nothing lost, and goes on: see `upgrade/make.py`."""

from __future__ import annotations

import gzip
import re
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg2
import pytest
import servers
from ledger_world import MINUTE, T0, World

from market.credits.settlement import steps
from market.jobs.life import change_of_mode
from market.kit import settings
from market.ops.database import migrate, postgres
from market.ops.database.migrate import File

pytestmark = pytest.mark.database
DUMP = Path(__file__).parent / "upgrade" / "from_896a177.sql.gz"
OLD = "market_896a177"
# Tables, and columns as `table.column`, that a later file of the schema moved: its own test looks where to.
MOVED = frozenset({"job_point", "point_run"})
# A page of digests says since then of which text they are made.
ADDED = {"seal_page.version"}


@pytest.fixture(scope="module")
def old_server(ledger_server: servers.Database) -> servers.Database:
    """Give the server, with the old market as a template."""
    connection = psycopg2.connect(ledger_server.url(postgres.SUPERUSER, "postgres"))
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {OLD} OWNER {migrate.OWNER}")
    connection.close()
    command = [str(postgres.programs() / "psql"), "-q", "-v", "ON_ERROR_STOP=1", "-o", "/dev/null"]
    command += [ledger_server.url(postgres.SUPERUSER, OLD)]
    subprocess.run(command, input=gzip.decompress(DUMP.read_bytes()), check=True)
    return ledger_server


@pytest.fixture
def old(old_server: servers.Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """Give a market as the old release left it."""
    monkeypatch.setenv("MARKET_DATABASE_URL", old_server.url(migrate.APPLICATION))
    made = World(old_server, template=OLD)
    yield made
    made.close()


@pytest.fixture
def upgraded(old: World) -> World:
    old.server.migrate()
    return old


def columns(world: World) -> dict[str, list[str]]:
    """Return the columns of each table, `migration` aside."""
    found: dict[str, list[str]] = {}
    for table, column in world.sql(
        "SELECT relname::text, attname::text FROM pg_attribute JOIN pg_class c ON c.oid = attrelid"
        " WHERE relnamespace = 'market'::regnamespace AND relkind = 'r' AND relname <> 'migration'"
        " AND attnum > 0 AND NOT attisdropped ORDER BY relname, attnum"
    ):
        found.setdefault(table, []).append(column)
    return found


def content(world: World, tables: dict[str, list[str]]) -> dict[str, list[Any]]:
    return {
        table: world.sql(f"SELECT ROW({', '.join(names)})::text FROM {table} ORDER BY 1")
        for table, names in tables.items()
    }


def schema(world: World) -> str:
    """Return the market's schema as pg_dump writes it."""
    command = [str(postgres.programs() / "pg_dump"), "--schema=market", "--schema-only"]
    command += [world.server.url(postgres.SUPERUSER)]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return re.sub(r"^\\(un)?restrict .*$", "", text, flags=re.MULTILINE)


def test_nothing_is_lost(old: World) -> None:
    tables = {
        table: [name for name in names if f"{table}.{name}" not in MOVED]
        for table, names in columns(old).items()
        if table not in MOVED
    }
    assert len(tables) + len(MOVED) >= 40
    before = content(old, tables)
    assert all(before.values()), "the dump has a table without a row"
    names = old.server.migrate()
    assert not set(names) & set(migrate.read(settings.ROOT / "sql").baseline.schema)
    assert content(old, tables) == before
    assert {f"{t}.{c}" for t in tables for c in set(columns(old)[t]) - set(tables[t])} >= ADDED
    assert old.server.migrate() == []
    history = {name for (name,) in old.sql("SELECT name FROM migration")}
    assert history >= set(migrate.read(settings.ROOT / "sql").baseline.files)


def test_the_points_and_their_runs_are_runs(old: World) -> None:
    points = old.sql("SELECT * FROM job_point ORDER BY job_id, point")
    earlier = old.sql("SELECT * FROM point_run WHERE application_id IS NOT NULL")
    plain = old.sql(
        "SELECT * FROM job WHERE NOT EXISTS (SELECT FROM job_point p WHERE p.job_id = job.job_id)"
    )
    assert points
    assert earlier
    assert plain
    old.server.migrate()
    for point in points:
        [last] = old.sql(
            "SELECT * FROM run WHERE job_id = %s AND point = %s ORDER BY attempt DESC LIMIT 1",
            *(point.job_id, point.point),
        )
        for name in ("status", "application_id", "reason_code", "reason", "started_ms", "ended_ms"):
            assert getattr(last, name) == getattr(point, name), (point, name)
        if last.application_id and last.ended_ms is None:
            assert last.tag == f"{point.job_id}-{point.point}", "YARN has this application under this tag"
    for run in earlier:
        [now] = old.sql("SELECT * FROM run WHERE application_id = %s", run.application_id)
        assert (now.point, now.attempt, now.status) == (run.point, run.run, run.status)
        assert (now.reason, now.started_ms, now.ended_ms) == (run.reason, run.started_ms, run.ended_ms)
    for job in plain:
        [only] = old.sql("SELECT * FROM run WHERE job_id = %s", job.job_id)
        assert (only.point, only.attempt, only.tag) == (0, 1, job.job_id)
        assert only.status == ("waiting" if job.status == "submitted" else job.status)
        for name in ("application_id", "reason_code", "reason", "started_ms", "ended_ms"):
            assert getattr(only, name) == getattr(job, name)
    assert old.one("SELECT count(*) FROM run") == len(plain) + old.one(
        "SELECT count(*) FROM run JOIN job_point p USING (job_id, point) WHERE p.params <> '{}'"
    )


def test_what_yarn_has_was_given_to_it_by_a_name_and_ends_where_keys_are_asked_for(upgraded: World) -> None:
    assert upgraded.sql("SELECT DISTINCT mode FROM submission") == [(settings.SIMPLE,)]
    given = upgraded.one(
        "SELECT count(*) FROM run JOIN submission USING (tag)"
        " WHERE ended_ms IS NULL AND status <> 'cancelling'"
    )
    assert given > 0
    assert change_of_mode.end_of_others(settings.SIMPLE) == 0
    assert change_of_mode.end_of_others(settings.KERBEROS) == given


def test_the_schema_is_that_of_a_new_market(upgraded: World, old_server: servers.Database) -> None:
    new = World(old_server)
    try:
        made_new = schema(new)
    finally:
        new.close()
    again = World(old_server, template=OLD)
    try:
        old_server.migrate()
        assert schema(again) == made_new
    finally:
        again.close()


def test_its_seals_verify_and_it_adds_up(upgraded: World) -> None:
    assert upgraded.one("SELECT count(*) FROM seal") == 4
    assert upgraded.violations() == []


def test_each_invariant_can_be_asked_by_hand(upgraded: World) -> None:
    upgraded.sql("SET session_replication_role = replica; UPDATE account SET granted_ucr = granted_ucr + 1")
    command = [str(postgres.programs() / "psql"), "-At", "-v", "only_new=false", "-v", "ON_ERROR_STOP=1"]
    for path in sorted((settings.ROOT / "sql" / "invariants").iterdir()):
        command += ["-f", str(path)]
    url = upgraded.server.url(postgres.SUPERUSER) + "?options=-csearch_path%3Dmarket"
    said = subprocess.run([*command, url], check=True, capture_output=True, text=True).stdout
    asked = upgraded.sql("SELECT subject || '|' || detail AS line FROM violations(false)")
    assert said.splitlines() == [row.line for row in asked]
    assert "all accounts|add up to 3 ucr" in said


def test_the_settlement_that_died_is_finished_and_the_next_one_follows(upgraded: World) -> None:
    assert upgraded.sql("SELECT step FROM settlement_step WHERE interval_id = 5 ORDER BY done_ms, step") == [
        ("freeze",),
        ("price",),
    ]
    settled = steps.settle(T0 + 30 * MINUTE)
    assert [one.interval_id for one in settled] == [5, 6]
    assert upgraded.violations() == []
    assert upgraded.one("SELECT count(*) FROM unsealed") == 0


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        ("UPDATE transfer SET amount_ucr = amount_ucr + 1 WHERE payee = 'pool'", "journal capture:"),
        ("UPDATE journal SET note = '' WHERE key = 'awkward'", "journal awkward: changed"),
        ("UPDATE usage_line SET host = 'x' WHERE host LIKE '%é'", "usage_line container_"),
        ("UPDATE hold_entry SET amount_ucr = 1 WHERE key = 'extended'", "hold_entry extended: changed"),
        ("DELETE FROM refund", ": missing"),
        ("UPDATE seal SET sha256 = sha256('x') WHERE interval_id = 4", "seal 4: changed"),
    ],
)
def test_a_change_of_what_was_sealed_before_is_named(upgraded: World, damage: str, named: str) -> None:
    upgraded.sql(f"SET session_replication_role = replica; {damage}")
    found = [f"{row.kind} {row.key}: {row.problem}" for row in upgraded.sql("SELECT * FROM verify_ledger()")]
    assert named in "\n".join(found)


@pytest.mark.parametrize(
    "table", ["usage_line", "settlement", "journal", "transfer", "hold_entry", "rate_tick"]
)
def test_a_new_column_breaks_no_old_seal(old: World, table: str) -> None:
    column = File("schema/9999_x.sql", f"ALTER TABLE {table} ADD COLUMN later text NOT NULL DEFAULT 'new';")
    sources = migrate.read(settings.ROOT / "sql")
    migrate.apply(old.server.url(migrate.OWNER), replace(sources, schema=(*sources.schema, column)))
    assert old.violations() == []
    old.sql("SET session_replication_role = replica")
    old.sql(f"UPDATE {table} SET later = 'other'")
    assert old.violations() == []
    key = "amount_ucr" if table in ("usage_line", "transfer", "hold_entry") else "at_ms"
    key = {"settlement": "fee_micro", "rate_tick": "x_micro"}.get(table, key)
    old.sql(f"UPDATE {table} SET {key} = {key} + 1")
    assert old.sql("SELECT * FROM verify_ledger()") != []
