"""Whom a client takes for its market: by a certificate's authority, or by the fingerprint of its key.

The fingerprint is SHA-256 of the certificate's public key as it stands there (SubjectPublicKeyInfo, RFC 5280
4.1), as in RFC 7469: it outlives the renewal of the certificate.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
import ssl
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from distributedmarket.client.errors import MarketClientError

_PIN = re.compile(r"sha256:[0-9a-f]{64}")
_SEQUENCE, _VERSION = 0x30, 0xA0


@dataclass(frozen=True)
class Trust:
    """What a market must show: a key with this `pin`, else a certificate by this `ca` (a PEM file).

    Without both, one that this system trusts. `plain` allows a market beyond this host without TLS: then
    passwords and tokens can be read on the way.
    """

    pin: str = ""
    ca: str = ""
    plain: bool = False

    def __post_init__(self) -> None:
        if self.pin and not _PIN.fullmatch(self.pin):
            raise MarketClientError("a pin is written as sha256: and 64 hex digits")
        if self.ca and not Path(self.ca).is_file():
            raise MarketClientError(f"there is no file {self.ca} with the market's certificate")

    def check(self, url: str) -> None:
        """Refuse an address to which nothing secret may be sent. Raises MarketClientError."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise MarketClientError("write the market's address as https://HOST:PORT")
        if parts.scheme == "https":
            return
        if self.pin or self.ca:
            raise MarketClientError("a market that is to prove itself is at https://HOST:PORT, not http://")
        if not self.plain and not _is_loopback(parts.hostname):
            raise MarketClientError(
                "over http:// passwords can be read on the way: write https://HOST:PORT, or say --plain-http "
                "where the network itself is private"
            )


def pin_of(certificate: bytes) -> str:
    """Return the pin of a certificate in DER. Raises ValueError."""
    body = _inner(certificate, _SEQUENCE)  # Certificate
    body = _inner(body, _SEQUENCE)  # TBSCertificate
    if body[:1] == bytes([_VERSION]):
        body = _after(body)
    for _ in ("serialNumber", "signature", "issuer", "validity", "subject"):
        body = _after(body)
    key = body[: len(body) - len(_after(body))]
    if key[:1] != bytes([_SEQUENCE]):
        raise ValueError("no certificate")
    return f"sha256:{hashlib.sha256(key).hexdigest()}"


def pin_of_file(file: Path) -> str:
    """Return the pin of the first certificate of a PEM file. Raises OSError, ValueError."""
    text = file.read_text()
    end = "-----END CERTIFICATE-----"
    return pin_of(ssl.PEM_cert_to_DER_cert(text[: text.index(end) + len(end)]))


def is_pinned(certificate: bytes, pin: str) -> bool:
    """Tell whether a certificate in DER holds the key of this pin."""
    try:
        return hmac.compare_digest(pin_of(certificate), pin)
    except ValueError:
        return False


def _inner(text: bytes, tag: int) -> bytes:
    """Return what the first element holds, which must have this tag."""
    if text[:1] != bytes([tag]):
        raise ValueError("no certificate")
    start, end = _bounds(text)
    return text[start:end]


def _after(text: bytes) -> bytes:
    """Return what follows the first element."""
    return text[_bounds(text)[1] :]


def _bounds(text: bytes) -> tuple[int, int]:
    """Return where the content of the first element begins and ends (X.690, definite lengths)."""
    if len(text) < 2:
        raise ValueError("no certificate")
    length, start = text[1], 2
    if length >= 0x80:
        size = length & 0x7F
        if not 1 <= size <= 4:
            raise ValueError("no certificate")
        length, start = int.from_bytes(text[2 : 2 + size], "big"), 2 + size
    if start + length > len(text):
        raise ValueError("no certificate")
    return start, start + length


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
