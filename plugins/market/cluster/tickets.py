"""Who the market is to Hadoop's servers over HTTP, and how it proves that.

With simple authentication a server believes the name in the address. Else each request carries a ticket,
which java/hadoop/Ticket.java checks: who asks which server, until when, signed by the market's key (Ed25519).
A ticket serves at one server, so what a lent machine's NodeManager was sent opens no other one.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Protocol
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

LIFE_S = 60
SECRET = "ticket_key"  # noqa: S105 - its name among the market's secrets
SCHEME = "Market"
# A server's audience is the name that it is started with, in its command line.
NAMENODE, DATANODE, RESOURCEMANAGER = "namenode", "datanode", "resourcemanager"
JOBHISTORY, SPARK_HISTORY = "jobhistory", "spark-history"
_MACHINE = "nm"


@dataclass(frozen=True)
class Proof:
    """What a request carries: parameters of its address, and headers."""

    parameters: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


class Asker(Protocol):
    """Somebody who sends requests to Hadoop's servers."""

    def proof(self, url: str) -> Proof:
        """Return what shows the server of an address who asks."""


@dataclass(frozen=True)
class Named:
    """Somebody whose name is believed."""

    user: str

    def proof(self, url: str) -> Proof:
        """Return the name."""
        return Proof(parameters={"user.name": self.user})


@dataclass(frozen=True)
class Signer:
    """Somebody with the market's key (PEM); `audiences` are its own servers' by their host:port."""

    user: str
    key: str = field(repr=False)
    audiences: Mapping[str, str]

    def proof(self, url: str) -> Proof:
        """Return a ticket for the server of an address; any but the market's own is a machine."""
        server = urlsplit(url).netloc
        audience = self.audiences.get(server) or machine(server.rpartition(":")[0])
        return Proof(headers={"Authorization": ticket(self.key, self.user, audience)})


def machine(address: str) -> str:
    """Return the audience of the NodeManager at an IP address."""
    return f"{_MACHINE}/{address}"


def ticket(key: str, user: str, audience: str, life_s: int = LIFE_S) -> str:
    """Return the value of a header by which a server knows who asks, for so many seconds."""
    said = f"{user}|{audience}|{int(time.time()) + life_s}"
    signature = base64.urlsafe_b64encode(_loaded(key).sign(said.encode())).decode()
    return f"{SCHEME} {said}|{signature}"


def generate() -> str:
    """Return a new key, as PEM."""
    key = Ed25519PrivateKey.generate()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def public(key: str) -> str:
    """Return the public half of a key, as PEM: what servers check tickets by."""
    return _loaded(key).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


@lru_cache(maxsize=4)
def _loaded(key: str) -> Ed25519PrivateKey:
    loaded = load_pem_private_key(key.encode(), None)
    if not isinstance(loaded, Ed25519PrivateKey):
        raise ValueError("the key of tickets is no key of Ed25519")
    return loaded
