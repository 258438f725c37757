"""What an agent speaks with: a token for lending alone, made from a login, for as long as the lease.

So an agent that runs for weeks holds no password, and who takes its token can submit no job and read no file.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from distributedmarket.client import ONCE, MarketApiError, MarketClient, MarketClientError
from distributedmarket.sdk import models
from distributedmarket.sdk.routes import Routes

_AFTER_S = 24 * 3600  # the lease: to drain, to leave, and for clocks that differ
_NONE_HERE = (403, 404)  # the login is a token for programs itself; the market knows none yet
_MOST_OF_A_NAME = 48


@contextmanager
def lending(market: MarketClient, name: str, lease_s: int, note: Path) -> Iterator[MarketClient]:
    """Yield a client that may lend, for `lease_s` seconds, and end its token behind it.

    `note` keeps the token's id, so that the next agent here ends the token of one that was killed. Where the
    login can make no token, it is used itself. Raises MarketClientError.
    """
    login = MarketClient(market.url, market.token, trust=market.trust)  # without the password
    routes = Routes(login.using(retries=ONCE))
    _end(routes, note)
    body: models.ProgramTokenRequest = {
        "name": f"share {name[:_MOST_OF_A_NAME]} {secrets.token_hex(4)}",
        "scopes": ["lend"],
        "lifetime_s": lease_s + _AFTER_S,
    }
    try:
        made = routes.create_token(body)
    except MarketApiError as error:
        if error.status not in _NONE_HERE:
            raise
        yield market
        return
    note.write_text(made["token_id"])
    try:
        yield MarketClient(market.url, made["token"], trust=market.trust)
    finally:
        _end(routes, note)


def _end(routes: Routes, note: Path) -> None:
    """End the token that was made here before; if that fails, it ends by itself a day after its lease."""
    with suppress(MarketClientError, OSError):
        routes.revoke_token(note.read_text().strip())
    with suppress(OSError):
        note.unlink(missing_ok=True)
