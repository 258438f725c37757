"""The address of a machine: its caller's own, or one that its NodeManager has to confirm."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from market.kit import database
from market.kit.errors import BadInputError, OverLimitError
from market.kit.settings import load
from market.machines import queries

_CHOICE_LOCK = "market.machines.address"
_LOCAL = ipaddress.IPv4Address("127.0.0.1")
_THIS_NETWORK = ipaddress.IPv4Network("0.0.0.0/8")


@dataclass(frozen=True)
class Place:
    """Where a machine is to be; `own`: its registration comes from that very host."""

    address: str
    own: bool


def is_host(address: ipaddress.IPv4Address) -> bool:
    """Tell whether an address can be one host's, of this network or another."""
    return not (
        address.is_multicast or address.is_reserved or address.is_link_local or address in _THIS_NETWORK
    )


def place(cursor: database.Cursor, given: str | None, client_address: str) -> Place:
    """Return the place of a machine: the given address, else the caller's.

    A caller on the market's own host may take any local address that is not the market's; without a given one
    he gets a free one. Raises BadInputError, and OverLimitError if there is none.
    """
    client = _client(client_address)
    if given is None:
        return Place(_chosen(cursor, client), own=True)
    address = ipaddress.IPv4Address(given)
    if str(address) in _of_the_market():
        raise _refused("is the market's own address; give that of the machine")
    if address.is_loopback and not (client and client.is_loopback):
        raise _refused("is an address inside the market's own host, which you do not call from")
    return Place(str(address), own=address == client or address.is_loopback)


def free_local_address(taken: set[str]) -> str:
    """Return an address of this host that no machine has: each is a host of its own to YARN.

    Raises OverLimitError when all 1000 that are tried are taken.
    """
    for number in range(3, 1003):
        address = f"127.0.{number // 250}.{number % 250 + 1}"
        if address not in taken:
            return address
    raise OverLimitError("This host lends as many machines as it has local addresses for.")


def _chosen(cursor: database.Cursor, client: ipaddress.IPv4Address | None) -> str:
    if client is None:
        raise _refused("is needed: you call from an IPv6 address, and YARN knows machines by an IPv4 address")
    if not client.is_loopback:
        return str(client)
    cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [_CHOICE_LOCK])
    return free_local_address(queries.live_addresses(cursor) | _of_the_market())


def _client(text: str) -> ipaddress.IPv4Address | None:
    """Return the caller's IPv4 address, None if he has another; nobody's is the market's own host's."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return _LOCAL
    if isinstance(address, ipaddress.IPv6Address):
        return _LOCAL if address.is_loopback else address.ipv4_mapped
    return address


def _of_the_market() -> set[str]:
    loaded = load()
    return {str(_LOCAL), loaded.bind, loaded.pool.ip_address}


def _refused(problem: str) -> BadInputError:
    return BadInputError({"ip_address": [problem]})
