"""A market with settings of its own for how people come to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from account_people import People
from ledger_world import World
from mail_server import MailServer, mail_server

from market.kit import settings
from market.people import homes


@pytest.fixture
def people(world: World, monkeypatch: pytest.MonkeyPatch) -> People:
    monkeypatch.setattr(homes, "make", lambda username: None)
    return People()


@pytest.fixture
def mailbox() -> Iterator[MailServer]:
    with mail_server() as server:
        yield server


@pytest.fixture
def configure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Write how people come to this market, and its mail server; again: otherwise."""

    def write(registration: str = "open", server: MailServer | None = None) -> None:
        lines = ["[accounts]", f'registration = "{registration}"', "registrations_per_minute = 1000"]
        lines += ["login_attempts_per_minute = 1000"]
        if server:
            lines += ["[mail]", 'host = "127.0.0.1"', f"port = {server.port}", 'tls = "none"']
            lines += ['sender = "market@example.org"']
        own = tmp_path / f"market{len(list(tmp_path.iterdir()))}.toml"
        own.write_text("\n".join(lines))
        monkeypatch.setenv("MARKET_CONFIG", str(own))
        settings.load()

    return write
