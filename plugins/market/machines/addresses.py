"""The address of a machine whose owner gives none."""

from __future__ import annotations

import ipaddress

from market.kit import database
from market.kit.errors import OverLimitError
from market.kit.settings import load
from market.machines import queries

_CHOICE_LOCK = "market.machines.address"


def choose(cursor: database.Cursor, client_address: str) -> str:
    """Choose a host: the caller's address, or, for a caller on the market's own host, a free local one."""
    try:
        client = ipaddress.ip_address(client_address or "127.0.0.1")
    except ValueError:
        client = ipaddress.ip_address("127.0.0.1")
    if not client.is_loopback:
        return str(client)
    cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [_CHOICE_LOCK])
    loaded = load()
    taken = queries.live_addresses(cursor) | {loaded.bind, loaded.pool.ip_address}
    return free_local_address(taken)


def free_local_address(taken: set[str]) -> str:
    """Return an address of this host that no machine has: each is a host of its own to YARN.

    Raises OverLimitError when all 1000 that are tried are taken.
    """
    for number in range(3, 1003):
        address = f"127.0.{number // 250}.{number % 250 + 1}"
        if address not in taken:
            return address
    raise OverLimitError("This host lends as many machines as it has local addresses for.")
