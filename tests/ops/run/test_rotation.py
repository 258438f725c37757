"""`./market rotate`: each secret in its own way, noted in the audit."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest
from ledger_world import World
from servers import Database
from tls_servers import with_certificate

from market.kit import database, settings, tls
from market.kit.settings import SettingsError
from market.ops.run import rotation, secrets
from market.people import secrets as member_secrets

pytestmark = pytest.mark.database


def test_a_rotation_is_in_the_audit_without_the_secret(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = settings.load(tmp_path)
    secrets.generate(stack.paths)
    monkeypatch.setattr(member_secrets, "load", lambda: stack)
    old = stack.secret(member_secrets.KEY)
    rotation.rotate(stack, member_secrets.KEY)
    assert stack.secret(member_secrets.KEY) != old
    (line,) = world.sql("SELECT kind, actor, subject, detail FROM audit")
    assert (line.kind, line.actor, line.subject) == ("rotation", "market", member_secrets.KEY)
    assert not {old, stack.secret(member_secrets.KEY)} & {*line.detail.split()}


def test_the_api_s_key_is_another_one(world: World, tmp_path: Path) -> None:
    stack = with_certificate(tmp_path / "state")
    old = tls.pin(stack)
    rotation.rotate(stack, "api_tls_key")
    assert tls.pin(stack) != old
    assert world.one("SELECT subject FROM audit") == "api_tls_key"


def test_the_token_of_the_metrics_is_another_one(world: World, tmp_path: Path) -> None:
    stack = settings.load(tmp_path)
    secrets.generate(stack.paths)
    old = stack.secret(settings.METRICS_TOKEN)
    rotation.rotate(stack, settings.METRICS_TOKEN)
    assert old != stack.secret(settings.METRICS_TOKEN)
    assert len(stack.secret(settings.METRICS_TOKEN)) == len(old)


@pytest.mark.parametrize("role", ["market_app", "market_owner", "postgres"])
def test_a_role_s_password_is_another_one_and_open_connections_stay(
    ledger_server: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, role: str
) -> None:
    monkeypatch.delenv("MARKET_DATABASE_URL", raising=False)
    stack = _served_by(ledger_server, tmp_path)
    monkeypatch.setattr(settings, "load", lambda *_: stack)
    old = stack.database_url(role)
    database.dispose()
    try:
        with closing(psycopg2.connect(old)) as before:
            with database.transaction() as cursor:
                cursor.execute("SELECT 1")
            rotation.rotate(stack, f"db_{role}")
            assert stack.database_url(role) != old
            with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
                psycopg2.connect(old)
            psycopg2.connect(stack.database_url(role)).close()
            with database.transaction() as cursor:  # of the process that goes on
                cursor.execute("SELECT subject FROM audit ORDER BY at_ms DESC LIMIT 1")
                assert cursor.fetchone().subject == f"db_{role}"
            with before.cursor() as cursor:
                cursor.execute("SELECT 1")
    finally:  # the server is for other tests as well
        ledger_server.passwords[role] = stack.secret(f"db_{role}")
        database.dispose()


def _served_by(server: Database, state: Path) -> settings.Settings:
    """Return the settings of a stack whose PostgreSQL is this one."""
    stack = settings.load(state)
    secrets.generate(stack.paths)
    for role, password in server.passwords.items():
        secrets.replace(stack.paths.secrets / f"db_{role}", password.encode())
    stack.paths.run.mkdir(exist_ok=True)
    (stack.paths.run / "ports.json").write_text(json.dumps({"postgres": server.port}))
    return stack


@pytest.mark.parametrize("name", ["api_tls_key", "jwt_secret", "no_such_secret", "../secrets/jwt_secret"])
def test_what_cannot_be_rotated_is_refused_and_not_noted(world: World, tmp_path: Path, name: str) -> None:
    with pytest.raises(SettingsError):
        rotation.rotate(settings.load(tmp_path), name)
    assert world.one("SELECT count(*) FROM audit") == 0
