"""The market of this clone, as its own commands know it; nothing here may import Airflow."""

from __future__ import annotations

from distributedmarket.client import MarketClient, Trust
from distributedmarket.client.trust import pin_of_file
from market.kit.settings import Settings


def pin(settings: Settings) -> str:
    """Return the fingerprint of the API's key; "" where it speaks no TLS, or was never started."""
    known = settings.tls and settings.tls_certificate.exists()
    return pin_of_file(settings.tls_certificate) if known else ""


def client(settings: Settings) -> MarketClient:
    """Return a client of the API that speaks for nobody."""
    return MarketClient(settings.url("api"), trust=Trust(pin(settings), plain=not settings.tls))
