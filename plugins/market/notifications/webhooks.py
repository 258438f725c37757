"""Webhooks: an event as a signed POST, after the rules of standardwebhooks.com.

The signature is base64 of HMAC-SHA256 over `id.timestamp.body`. A webhook's secret is made of the market's
own key and the webhook's id, so it stands nowhere and is shown once.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
import socket
import ssl
import time
from collections.abc import Mapping
from urllib.parse import urlunsplit

from market.kit.cut import cut_after
from market.kit.errors import UnavailableError
from market.kit.settings import load
from market.notifications import addresses
from market.notifications.kinds import Event

KEY = "webhook_key"  # among the market's own secrets

_STEP_S, _WHOLE_S = 5.0, 10.0
_GOOD = range(200, 300)


def secret_of(channel_id: str) -> str:
    """Return what a webhook's requests are signed with, in the form of its readers: whsec_BASE64."""
    return "whsec_" + base64.b64encode(_key_of(channel_id)).decode()


def _key_of(channel_id: str) -> bytes:
    return hmac.digest(load().secret(KEY).encode(), f"webhook {channel_id}".encode(), hashlib.sha256)


def body_of(event: Event) -> bytes:
    """Return what a webhook is sent of an event."""
    return json.dumps(
        {
            "type": event.kind,
            "timestamp": event.at.isoformat().replace("+00:00", "Z"),
            "data": {
                **event.data,
                "event_id": event.event_id,
                "text": event.sentence,
                "job_id": event.job_id,
                "machine_id": event.machine_id,
            },
        }
    ).encode()


def headers_of(channel_id: str, message_id: str, body: bytes, at_s: int) -> Mapping[str, str]:
    """Return the headers by which the receiver knows a message, its time, and who sent it."""
    signed = hmac.digest(_key_of(channel_id), f"{message_id}.{at_s}.".encode() + body, hashlib.sha256)
    return {
        "Content-Type": "application/json",
        "User-Agent": "DistributedMarket",
        "webhook-id": message_id,
        "webhook-timestamp": str(at_s),
        "webhook-signature": f"v1,{base64.b64encode(signed).decode()}",
    }


def send(channel_id: str, url: str, message_id: str, body: bytes) -> None:
    """Send a message to a webhook; it is taken when the answer's status is one of 200 to 299.

    No redirect is followed, and of the answer nothing is read but its head. Raises UnavailableError, with
    what went wrong in words, and addresses.ForbiddenAddressError.
    """
    parts = addresses.parsed(url)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=_STEP_S)
    target = urlunsplit(("", "", parts.path or "/", parts.query, ""))
    line: socket.socket = addresses.connect(parts)
    try:
        with cut_after(_WHOLE_S, lambda: line):
            if parts.scheme == "https":
                trust = ssl.create_default_context()
                line = trust.wrap_socket(line, server_hostname=parts.hostname, do_handshake_on_connect=False)
                line.do_handshake()  # by itself, so that the time limit knows the line meanwhile
            connection.sock = line
            connection.request(
                "POST", target, body, {**headers_of(channel_id, message_id, body, int(time.time()))}
            )
            status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        raise UnavailableError(f"{parts.hostname} does not answer: {type(error).__name__}: {error}") from None
    finally:
        connection.close()
        line.close()
    if status not in _GOOD:
        raise UnavailableError(f"{parts.hostname} answers {status}")
