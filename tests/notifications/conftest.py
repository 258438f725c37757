"""A market with settings of its own for who is told of what."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ledger_world import World
from mail_server import MailServer, mail_server
from webhook_server import Receiver, receiver

from market.kit import settings
from market.notifications import webhooks
from market.people.member import Member

Configure = Callable[..., None]


@pytest.fixture
def configure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Configure:
    """Write [mail] (to a server) and [notifications]; again: others."""
    state = tmp_path / "state"
    (state / "secrets").mkdir(parents=True)
    (state / "secrets" / webhooks.KEY).write_text("0123456789abcdef" * 4)
    monkeypatch.setenv("MARKET_STATE_DIR", str(state))

    def write(server: MailServer | None = None, **notifications: object) -> None:
        lines = ["[notifications]"]
        lines += [
            f"{key} = {f'{chr(34)}{v}{chr(34)}' if isinstance(v, str) else v}"
            for key, v in notifications.items()
        ]
        if server:
            lines += ["[mail]", 'host = "127.0.0.1"', f"port = {server.port}", 'tls = "none"']
            lines += ['sender = "market@example.org"']
        own = tmp_path / f"market{len(list(tmp_path.iterdir()))}.toml"
        own.write_text("\n".join(lines))
        monkeypatch.setenv("MARKET_CONFIG", str(own))
        settings.load()

    return write


@pytest.fixture
def member(world: World) -> Member:
    user_id = world.member()
    world.sql("DELETE FROM event")
    username = world.one("SELECT username FROM member WHERE user_id = %s", user_id)
    world.sql(
        "INSERT INTO confirmed_address SELECT email, user_id, 1 FROM member WHERE user_id = %s", user_id
    )
    return Member(user_id, username, f"{username}@example.org")


@pytest.fixture
def mailbox() -> Iterator[MailServer]:
    with mail_server() as server:
        yield server


@pytest.fixture
def hook() -> Iterator[Receiver]:
    with receiver() as made:
        yield made
