from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg2
import pytest
import servers

from market.kit import settings
from market.ops.database import migrate, postgres
from market.ops.database.migrate import File, MigrationError
from market.ops.database.sources import Sources

pytestmark = pytest.mark.database
SOURCES = migrate.read(settings.ROOT / "sql")
EVERYTHING = [file.name for file in (*SOURCES.schema, *SOURCES.code)]
EXTRA = """
CREATE FUNCTION extra() RETURNS integer LANGUAGE sql AS $$ SELECT 1 $$;
CREATE VIEW extras AS SELECT extra() AS value;
"""


@pytest.fixture
def database(ledger_server: servers.Database) -> servers.Database:
    """Give the server with a market's database that has nothing in it yet."""
    sql(ledger_server, f"DROP DATABASE {migrate.DATABASE} WITH (FORCE)", name="postgres")
    others = {role: word for role, word in ledger_server.passwords.items() if role != postgres.SUPERUSER}
    migrate.prepare(ledger_server.url(postgres.SUPERUSER, "postgres"), others)
    return ledger_server


def sql(database: servers.Database, statement: str, name: str = migrate.DATABASE) -> list[tuple[Any, ...]]:
    connection = psycopg2.connect(
        database.url(postgres.SUPERUSER, name), options="-c search_path=market -c lock_timeout=20s"
    )
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(statement)
        rows = cursor.fetchall() if cursor.description else []
    connection.close()
    return rows


def apply(database: servers.Database, sources: Sources) -> list[str]:
    return migrate.apply(database.url(migrate.OWNER), sources)


def with_extra(text: str = EXTRA) -> Sources:
    return replace(SOURCES, functions=(*SOURCES.functions, File("functions/99_extra.sql", text)))


def code(database: servers.Database) -> set[str]:
    """Return the names of all functions and views."""
    return {
        name
        for (name,) in sql(
            database,
            "SELECT proname::text FROM pg_proc WHERE pronamespace = 'market'::regnamespace"
            " UNION ALL SELECT relname FROM pg_class"
            " WHERE relnamespace = 'market'::regnamespace AND relkind = 'v'",
        )
    }


def test_each_file_is_applied_once(database: servers.Database) -> None:
    assert database.migrate() == EVERYTHING
    assert database.migrate() == []
    assert {name for (name,) in sql(database, "SELECT name FROM migration")} == set(EVERYTHING)


def test_a_changed_or_missing_table_file_is_refused_by_name(database: servers.Database) -> None:
    database.migrate()
    first, *others = SOURCES.schema
    changed = replace(SOURCES, schema=(replace(first, text=first.text + "-- later"), *others))
    with pytest.raises(MigrationError, match=f"{first.name} .*changed"):
        apply(database, changed)
    with pytest.raises(MigrationError, match=f"{first.name} .*gone"):
        apply(database, replace(SOURCES, schema=tuple(others)))


def test_a_file_that_fails_leaves_all_as_it_was(database: servers.Database) -> None:
    database.migrate()
    before = code(database)
    good = File("schema/9998_good.sql", "CREATE TABLE good ();")
    broken = File("schema/9999_broken.sql", "CREATE TABLE half_done (); SELECT 1/0;")
    with pytest.raises(MigrationError, match=r"schema/9999_broken\.sql failed, .* as it was"):
        apply(database, replace(SOURCES, schema=(*SOURCES.schema, good, broken)))
    with pytest.raises(MigrationError, match=r"functions/99_extra\.sql failed, .* as it was"):
        apply(database, with_extra("CREATE VIEW wrong AS SELECT * FROM nothing;"))
    assert sql(database, "SELECT to_regclass('good'), to_regclass('half_done')") == [(None, None)]
    assert code(database) == before
    assert database.migrate() == []


def test_a_new_table_file_comes_before_the_functions_that_use_it(database: servers.Database) -> None:
    database.migrate()
    table = File("schema/9999_later.sql", "CREATE TABLE later (a integer); ALTER TABLE hold ADD note text;")
    sources = with_extra("CREATE VIEW latest AS SELECT a, h.note FROM later, hold h;")
    assert apply(database, replace(sources, schema=(*SOURCES.schema, table))) == [
        "schema/9999_later.sql",
        "functions/99_extra.sql",
    ]
    assert sql(database, "SELECT * FROM latest") == []


def test_a_changed_function_file_is_applied_again_and_no_other(database: servers.Database) -> None:
    apply(database, with_extra())
    times = dict(sql(database, "SELECT name, applied_at FROM migration"))
    # Neither the type that a function returns nor a view's column can be replaced in place.
    changed = EXTRA.replace("integer", "text").replace("SELECT 1", "SELECT 'one'")
    assert apply(database, with_extra(changed)) == ["functions/99_extra.sql"]
    assert sql(database, "SELECT value FROM extras") == [("one",)]
    after = dict(sql(database, "SELECT name, applied_at FROM migration"))
    assert {name for name in after if after[name] != times[name]} == {"functions/99_extra.sql"}
    assert apply(database, with_extra(changed)) == []


def test_what_leaves_the_files_leaves_the_database(database: servers.Database) -> None:
    apply(database, with_extra())
    assert {"extra", "extras"} <= code(database)
    assert database.migrate() == []
    assert not {"extra", "extras"} & code(database)
    assert {name for (name,) in sql(database, "SELECT name FROM migration")} == set(EVERYTHING)


def test_the_application_may_call_only_what_it_is_granted(database: servers.Database) -> None:
    apply(database, with_extra())
    allowed = "SELECT has_function_privilege('market_app', oid, 'execute') FROM pg_proc WHERE proname = '{}'"
    assert sql(database, allowed.format("extra")) == [(False,)]
    assert sql(database, allowed.format("violations")) == [(True,)]


def test_a_new_invariant_is_asked_with_the_others(database: servers.Database) -> None:
    query = "SELECT 'members', 'none' WHERE NOT EXISTS (SELECT FROM member) OR :only_new;"
    text = f"-- There is a member.\n{query}\n"
    more = replace(SOURCES, invariants=(*SOURCES.invariants, File("invariants/member.sql", text)))
    database.migrate()
    assert apply(database, more) == ["invariants/member.sql", "invariants/"]
    assert sql(database, "SELECT * FROM violations(false)") == [("member", "members", "none")]
    said = "SELECT obj_description('invariant_member'::regproc)"
    assert sql(database, said) == [("There is a member.",)]
    database.migrate()
    assert sql(database, "SELECT * FROM violations(true)") == []
    assert "invariant_member" not in code(database)


def test_two_at_once_wait_for_one_another(database: servers.Database) -> None:
    done: list[list[str]] = []
    threads = [threading.Thread(target=lambda: done.append(database.migrate())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(done, key=len) == [[], EVERYTHING]


def test_tables_in_use_are_waited_for_and_not_for_long(
    database: servers.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    database.migrate()
    before = code(database)
    monkeypatch.setattr(migrate, "_LOCK_TIMEOUT_S", 0.2)
    monkeypatch.setattr(migrate, "_PAUSE_S", 0)
    with psycopg2.connect(database.url(migrate.APPLICATION)) as reader, reader.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM market.journal")
        with pytest.raises(MigrationError, match="others work with the market's tables"):
            apply(database, with_extra())
        assert code(database) == before
        timer = threading.Timer(1, reader.rollback)
        monkeypatch.setattr(migrate, "_LOCK_TIMEOUT_S", 20)
        timer.start()
        assert apply(database, with_extra()) == ["functions/99_extra.sql"]
    reader.close()


def test_what_somebody_else_made_of_a_view_is_not_dropped_with_it(database: servers.Database) -> None:
    database.migrate()
    sql(database, "CREATE SCHEMA reports; CREATE VIEW reports.mine AS SELECT * FROM system_account")
    with pytest.raises(MigrationError, match=r"(?s)as it was: .*reports\.mine depends on .*system_account"):
        apply(database, with_extra())
    assert sql(database, "SELECT count(*) FROM reports.mine") == [(3,)]
    sql(database, "DROP VIEW reports.mine")
    assert apply(database, with_extra()) == ["functions/99_extra.sql"]


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (
            "DELETE FROM migration WHERE name LIKE '0019%'",
            r"older than release 896a177, without its sql/0019_",
        ),
        ("UPDATE migration SET checksum = 'x' WHERE name LIKE '0005%'", r"sql/0005_settle\.sql .* backup"),
        ("INSERT INTO migration VALUES ('0021_mine.sql', 'x')", r"sql/0021_mine\.sql .* backup"),
    ],
)
def test_a_database_that_is_not_of_the_baseline_is_refused(
    database: servers.Database, damage: str, said: str
) -> None:
    rows = ", ".join(f"('{name}', '{checksum}')" for name, checksum in SOURCES.baseline.files.items())
    sql(database, "CREATE TABLE migration (name text PRIMARY KEY, checksum text, applied_at timestamptz)")
    sql(database, "ALTER TABLE migration OWNER TO market_owner")
    sql(database, f"INSERT INTO migration VALUES {rows}; {damage}")
    with pytest.raises(MigrationError, match=said):
        database.migrate()
    assert sql(database, "SELECT tablename::text FROM pg_tables WHERE schemaname = 'market'") == [
        ("migration",)
    ]


def test_nobody_enters_without_the_password(database: servers.Database) -> None:
    wrong = database.url(migrate.APPLICATION).replace(database.passwords[migrate.APPLICATION], "x")
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        psycopg2.connect(wrong)


def test_the_application_cannot_change_the_schema(database: servers.Database, tmp_path: Path) -> None:
    database.migrate()
    connection = psycopg2.connect(database.url(migrate.APPLICATION))
    try:
        for statement in ("CREATE TABLE market.mine ()", "DELETE FROM market.job", "DROP TABLE market.job"):
            with connection.cursor() as cursor, pytest.raises(psycopg2.errors.InsufficientPrivilege):
                cursor.execute(statement)
            connection.rollback()
    finally:
        connection.close()


GROWS = File("schema/9001_grows.sql", "CREATE TABLE grown (id integer); GRANT SELECT ON grown TO market_app;")


def test_what_would_be_done_is_told_and_not_done(database: servers.Database) -> None:
    url = database.url(migrate.OWNER)
    assert [file.name for file in migrate.look(url, SOURCES).schema] == [one.name for one in SOURCES.schema]
    database.migrate()
    assert migrate.look(url, SOURCES) == migrate.Outlook((), (), ())
    newer = replace(with_extra(), schema=(*SOURCES.schema, GROWS))
    assert migrate.look(url, newer) == migrate.Outlook((GROWS,), ("functions/99_extra.sql",), ())
    assert sql(database, "SELECT to_regclass('market.grown')") == [(None,)]


def test_the_way_back_leaves_tables_that_were_added_and_takes_the_code_back(
    database: servers.Database,
) -> None:
    database.migrate()
    apply(database, replace(with_extra(), schema=(*SOURCES.schema, GROWS)))
    url = database.url(migrate.OWNER)
    with pytest.raises(MigrationError, match=f"{GROWS.name} .*is gone"):
        apply(database, SOURCES)
    assert migrate.look(url, SOURCES, [GROWS]).later == (GROWS.name,)
    assert migrate.apply(url, SOURCES, [GROWS]) == []
    assert "extra" not in code(database)
    assert sql(database, "SELECT to_regclass('market.grown')") == [("grown",)]
    # And forward again: it is there already.
    assert apply(database, replace(with_extra(), schema=(*SOURCES.schema, GROWS))) == [
        "functions/99_extra.sql"
    ]


def test_there_is_no_way_back_once_something_was_taken_away(database: servers.Database) -> None:
    database.migrate()
    url = database.url(migrate.OWNER)
    gone = File(
        "schema/9002_shrinks.sql", "-- contract: nobody reads it any more\nDROP TABLE IF EXISTS never_there;"
    )
    apply(database, replace(SOURCES, schema=(*SOURCES.schema, gone)))
    with pytest.raises(MigrationError, match=f"{gone.name} .*no way back but a restore"):
        migrate.apply(url, SOURCES, [gone])
    with pytest.raises(MigrationError, match="no way back"):
        migrate.look(url, SOURCES, [gone])
