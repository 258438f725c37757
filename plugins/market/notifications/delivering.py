"""The loops that deliver: one for mails, some for webhooks, side by side."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from market.kit import mail
from market.kit.errors import MarketError
from market.kit.settings import load
from market.kit.vocabulary import MAIL, WEBHOOK
from market.notifications import addresses, claims, mails, webhooks
from market.notifications.claims import Claim

log = logging.getLogger(__name__)

_PASS_S = 20.0


def run_mails() -> None:
    """Send the mails that are due, for a while."""
    if load().mail.enabled:
        _run(MAIL, mails.send)


def run_webhooks() -> None:
    """Send to the webhooks what is due, for a while."""
    _run(WEBHOOK, _post)


def _post(claim: Claim) -> None:
    (event,) = claim.events
    webhooks.send(claim.channel_id, claim.url, event.event_id, webhooks.body_of(event))


def _run(way: str, send: Callable[[Claim], None]) -> None:
    until = time.monotonic() + _PASS_S
    while time.monotonic() < until and (claim := claims.claim(way)):
        try:
            send(claim)
        except (mail.MailRefusedError, addresses.ForbiddenAddressError) as error:
            claims.failed(claim, error, for_good=True)
        except Exception as error:
            if not isinstance(error, MarketError):
                log.exception("a delivery by %s failed", way)
            claims.failed(claim, error)
        else:
            claims.delivered(claim)
