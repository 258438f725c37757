"""Where a webhook may lead: to public addresses, and to the networks that the settings name.

A name is looked up once, and the connection is made to the very address that was checked: whoever serves the
name cannot answer otherwise the second time.
"""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import SplitResult, urlsplit

from market.kit.errors import UnavailableError
from market.kit.settings import load

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_MOST = 2048  # characters of an address
_CONNECT_S = 5.0
_ADDRESSES_TRIED = 2
# Addresses that only look public: where clouds answer their own hosts (some releases of Python take the
# second for public), and IPv4 in the clothes of IPv6.
_CLOTHES = tuple(
    map(ipaddress.ip_network, ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32", "::/96"))
)
_METADATA = (ipaddress.ip_address("168.63.129.16"), ipaddress.ip_address("192.0.0.192"))


class ForbiddenAddressError(ValueError):
    """A webhook does not lead to where one may lead; the message says why."""


def parsed(url: str) -> SplitResult:
    """Return the parts of a webhook's address. Raises ForbiddenAddressError for what is none."""
    if len(url) > _MOST or not url.isascii() or not url.isprintable() or any(map(str.isspace, url)):
        raise ForbiddenAddressError(f"must be printable ASCII without blanks, at most {_MOST} characters")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ForbiddenAddressError("is no address") from None
    if parts.scheme not in ("https", "http") or not parts.hostname or port == 0:
        raise ForbiddenAddressError("must be like https://host/path")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise ForbiddenAddressError("may hold no username, no password and no fragment")
    return parts


def check(url: str) -> None:
    """Check an address as it is given, without looking its name up. Raises ForbiddenAddressError."""
    parts = parsed(url)
    try:
        address = ipaddress.ip_address(str(parts.hostname))
    except ValueError:
        if parts.scheme == "http" and not _networks():
            raise ForbiddenAddressError("must begin with https://") from None
        return
    _permit(address, parts.scheme)


def connect(parts: SplitResult) -> socket.socket:
    """Return a connection to where an address leads.

    Raises ForbiddenAddressError, UnavailableError where nobody answers.
    """
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        answers = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise UnavailableError(f"the name {parts.hostname} is not known: {error}") from None
    addresses = list(dict.fromkeys(ipaddress.ip_address(answer[4][0]) for answer in answers))
    for address in addresses:  # all of them: a name that leads inside as well is no honest one
        _permit(address, parts.scheme)
    trouble: OSError | None = None
    for address in addresses[:_ADDRESSES_TRIED]:
        try:
            return _connected(address, port)
        except OSError as error:
            trouble = error
    raise UnavailableError(f"{parts.hostname} does not answer: {trouble}")


def _connected(address: Address, port: int) -> socket.socket:
    connection = socket.socket(socket.AF_INET if address.version == 4 else socket.AF_INET6)
    try:
        connection.settimeout(_CONNECT_S)
        connection.connect((str(address), port))
    except OSError:
        connection.close()
        raise
    here = ipaddress.ip_address(connection.getsockname()[0])
    if here == address and not _allowed(address):  # a public address of this very host
        connection.close()
        raise ForbiddenAddressError(f"{address} is the market's own host")
    return connection


def _permit(address: Address, scheme: str) -> None:
    """Raise ForbiddenAddressError for an address that a webhook may not reach."""
    if _allowed(address):
        return
    mapped = getattr(address, "ipv4_mapped", None)
    disguised = mapped is not None or any(address in network for network in _CLOTHES)
    if disguised or not address.is_global or address.is_multicast or address in _METADATA:
        raise ForbiddenAddressError(f"{address} is no public address")
    if scheme != "https":
        raise ForbiddenAddressError("must begin with https://")


def _allowed(address: Address) -> bool:
    return any(address in network for network in _networks())


def _networks() -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    named = load().notifications.webhook_networks
    return [ipaddress.ip_network(network) for network in named.split(",") if network]
