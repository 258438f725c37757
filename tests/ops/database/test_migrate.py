from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg2
import pytest
import servers

from market.kit import settings
from market.ops.database import migrate

pytestmark = pytest.mark.database


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Database]:
    with servers.database(tmp_path_factory.mktemp("postgres")) as served:
        yield served


def test_each_file_is_applied_once(database: servers.Database) -> None:
    names = [file.name for file in migrate.read(settings.ROOT / "sql")]
    assert database.migrate() == names
    assert database.migrate() == []


def test_a_changed_or_missing_file_is_refused_by_name(database: servers.Database) -> None:
    database.migrate()
    files = migrate.read(settings.ROOT / "sql")
    changed = [replace(files[0], text=files[0].text + "-- later"), *files[1:]]
    with pytest.raises(migrate.MigrationError, match=f"{files[0].name} .*changed"):
        migrate.apply(database.url(migrate.OWNER), changed)
    with pytest.raises(migrate.MigrationError, match=f"{files[0].name} .*gone"):
        migrate.apply(database.url(migrate.OWNER), files[1:])


def test_a_file_that_fails_leaves_nothing(database: servers.Database) -> None:
    database.migrate()
    files = migrate.read(settings.ROOT / "sql")
    broken = migrate.File("9999_broken.sql", "CREATE TABLE half_done (); SELECT 1/0;")
    with pytest.raises(migrate.MigrationError, match=r"9999_broken\.sql failed"):
        migrate.apply(database.url(migrate.OWNER), [*files, broken])
    with psycopg2.connect(database.url(migrate.OWNER)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('market.half_done')")
        assert cursor.fetchone() == (None,)
    connection.close()


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
