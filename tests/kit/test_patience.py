"""How long PostgreSQL waits for each role and each kind of work, and what a caller is told after that."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import psycopg2
import pytest
from ledger_world import World

from market.kit import database
from market.kit.errors import BusyError
from market.kit.patience import BACKGROUND, WEB, Patience
from market.ops.database import migrate, roles

pytestmark = pytest.mark.database


@pytest.fixture(autouse=True)
def _new_pool(world: World) -> Iterator[None]:
    database.dispose()
    yield
    database.dispose()


@pytest.mark.parametrize("role", [migrate.OWNER, migrate.APPLICATION, migrate.AIRFLOW])
def test_each_role_has_its_limits_at_every_door(world: World, role: str) -> None:
    with psycopg2.connect(world.server.url(role)) as connection, connection.cursor() as cursor:
        for name, value in roles.SETTINGS[role].items():
            kind = "interval" if value.endswith("s") else "text"
            cursor.execute(f"SELECT current_setting(%s)::{kind} = %s::{kind}", [name, value])
            assert cursor.fetchone() == (True,), name
    connection.close()


def _limits(patience: Patience | None = None) -> Any:
    with database.transaction(patience) as cursor:
        cursor.execute(
            "SELECT extract(epoch FROM current_setting(name)::interval)::integer"
            " FROM unnest(%s) WITH ORDINALITY AS one (name, place) ORDER BY place",
            [list(BACKGROUND.settings)],
        )
        return Patience(*(row[0] for row in cursor.fetchall()))


def test_a_transaction_has_the_limits_that_it_names_and_no_other_has(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _limits() == BACKGROUND
    assert _limits(Patience(7, 8, 9)) == Patience(7, 8, 9)
    assert _limits() == BACKGROUND
    monkeypatch.setattr(database, "_process_options", "")
    database.limit_process(WEB)
    assert _limits() == WEB


def test_who_waits_too_long_for_a_lock_is_told_to_try_again() -> None:
    patience = Patience(statement_s=10, lock_s=1, idle_s=10)
    calls = []

    def change(cursor: database.Cursor) -> None:
        calls.append(1)
        cursor.execute("SELECT pg_advisory_xact_lock(12)")

    with database.transaction() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(12)")
        with pytest.raises(BusyError, match=r"take long\. Try again"):
            database.retried(change, patience)
    assert calls == [1], "it has waited as long as it should"
    database.retried(change, patience)
    assert calls == [1, 1]


def test_a_statement_and_an_idle_transaction_end_in_words() -> None:
    with pytest.raises(BusyError, match="was stopped"), database.transaction(Patience(1, 1, 1)) as cursor:
        cursor.execute("SELECT pg_sleep(20)")
    # An idle session is ended without a word that the client reads: to it the database is away.
    with pytest.raises(psycopg2.OperationalError), database.transaction(Patience(9, 9, 1)) as cursor:
        cursor.execute(time.sleep(1.5) or "SELECT 1")
    assert _limits() == BACKGROUND, "and the next transaction has a connection that works"
