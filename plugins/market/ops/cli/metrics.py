"""`./market metrics`: the figures that Prometheus gets, asked of the running market."""

from __future__ import annotations

import argparse

import requests

from distributedmarket.client import exchange
from market.kit import tls
from market.kit.errors import UnavailableError
from market.kit.settings import API, METRICS_TOKEN, Settings

_PATIENCE_S = 10
_OK = 200


def run(settings: Settings, chosen: argparse.Namespace) -> int:
    """Print them; return 0. Raises UnavailableError."""
    header = {"Authorization": f"Bearer {settings.secret(METRICS_TOKEN)}"}
    address = settings.url(API) + "/market/metrics"
    try:
        with tls.session(settings) as session:
            answer = session.get(address, headers=header, timeout=_PATIENCE_S)
    except requests.RequestException as error:
        raise UnavailableError(f"the market does not answer: {exchange.why_silent(error)}") from None
    if answer.status_code != _OK:
        raise UnavailableError(f"{address} answers {answer.status_code}: {answer.text[:200]}")
    print(answer.text, end="")
    return 0
