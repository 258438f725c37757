"""`./market rotate`: each secret in its own way, noted in the audit."""

from __future__ import annotations

from pathlib import Path

import pytest
from ledger_world import World
from tls_servers import with_certificate

from market.kit import settings, tls
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


@pytest.mark.parametrize("name", ["api_tls_key", "no_such_secret", "../secrets/jwt_secret"])
def test_what_cannot_be_rotated_is_refused_and_not_noted(world: World, tmp_path: Path, name: str) -> None:
    with pytest.raises(SettingsError):
        rotation.rotate(settings.load(tmp_path), name)
    assert world.one("SELECT count(*) FROM audit") == 0
