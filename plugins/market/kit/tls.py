"""How the market's own processes speak to its API where that speaks TLS: they trust its certificate alone."""

from __future__ import annotations

import hashlib
import ssl
from typing import Any

import requests
from requests.adapters import HTTPAdapter

from market.kit.settings import Settings


def context(settings: Settings) -> ssl.SSLContext | None:
    """Return what a connection to the API is made with; None where it speaks no TLS."""
    if not settings.tls:
        return None
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.load_verify_locations(settings.tls_trust)
    # So that a given certificate is trusted without those above it.
    made.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return made


def session(settings: Settings) -> requests.Session:
    """Return a session for the API. It reads no proxy settings, and trusts the API's certificate alone."""
    made = requests.Session()
    made.trust_env = False
    trusted = context(settings)
    if trusted is not None:
        made.verify = str(settings.tls_trust)
        made.mount("https://", _Trusting(trusted))
    return made


def pin(settings: Settings) -> str:
    """Return the fingerprint of the API's public key, by which lenders know it: `sha256:` and 64 hex digits.

    It stays when the certificate is renewed.
    """
    from cryptography import x509  # noqa: PLC0415 - the launcher's and the agents' Python has none
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat  # noqa: PLC0415

    certificate = x509.load_pem_x509_certificate(settings.tls_certificate.read_bytes())
    key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return f"sha256:{hashlib.sha256(key).hexdigest()}"


class _Trusting(HTTPAdapter):
    def __init__(self, trusted: ssl.SSLContext) -> None:
        self._trusted = trusted
        super().__init__()

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options, ssl_context=self._trusted)
