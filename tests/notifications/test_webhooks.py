"""Webhooks: signed, bounded in time and bytes, without redirects, over TLS that somebody vouches for."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable

import pytest
from tls_servers import with_certificate
from webhook_server import Receiver, receiver

from market.kit.errors import UnavailableError
from market.notifications import webhooks

Configure = Callable[..., None]
CHANNEL = "a" * 32


@pytest.fixture(autouse=True)
def _loopback(configure: Configure) -> None:
    configure(webhook_networks="127.0.0.0/8")


def test_a_message_is_signed_with_its_time_and_id(hook: Receiver) -> None:
    webhooks.send(CHANNEL, hook.url + "?a=b", "the-id", b'{"type": "grant"}')
    (message,) = hook.messages
    assert message.path == "/hook?a=b"
    assert message.headers["webhook-id"] == "the-id"
    assert abs(int(message.headers["webhook-timestamp"]) - time.time()) < 5
    secret = webhooks.secret_of(CHANNEL)
    assert message.is_signed_with(secret)
    assert not message.is_signed_with(webhooks.secret_of("b" * 32))
    message.raw += b" "
    assert not message.is_signed_with(secret)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_no_redirect_is_followed(hook: Receiver, status: int) -> None:
    with receiver() as elsewhere:
        hook.status, hook.location = status, elsewhere.url
        with pytest.raises(UnavailableError, match=str(status)):
            webhooks.send(CHANNEL, hook.url, "id", b"{}")
        assert elsewhere.messages == []


@pytest.mark.parametrize("status", [400, 404, 410, 500, 503])
def test_other_answers_are_failures(hook: Receiver, status: int) -> None:
    hook.status = status
    with pytest.raises(UnavailableError, match=f"answers {status}"):
        webhooks.send(CHANNEL, hook.url, "id", b"{}")


def test_an_answer_without_end_is_left(hook: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "_WHOLE_S", 1.0)
    hook.drips = True
    began = time.monotonic()
    with pytest.raises(UnavailableError):
        webhooks.send(CHANNEL, hook.url, "id", b"{}")
    assert time.monotonic() - began < 3


def test_a_handshake_without_end_is_left(hook: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that speaks no TLS, and says nothing."""
    monkeypatch.setattr(webhooks, "_WHOLE_S", 1.0)
    hook.waits_s = 30
    began = time.monotonic()
    with pytest.raises(UnavailableError):
        webhooks.send(CHANNEL, hook.url.replace("http:", "https:"), "id", b"{}")
    assert time.monotonic() - began < 3


def test_a_large_answer_is_not_read(hook: Receiver) -> None:
    hook.body_mib = 500
    began = time.monotonic()
    webhooks.send(CHANNEL, hook.url, "id", b"{}")
    assert time.monotonic() - began < 2


def test_nobody_answers() -> None:
    with pytest.raises(UnavailableError):
        webhooks.send(CHANNEL, "http://127.0.0.1:1/", "id", b"{}")


def test_only_a_server_that_somebody_vouches_for(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = with_certificate(tmp_path_factory.mktemp("tls"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.tls_certificate, made.tls_key)
    with receiver(context) as hook:
        with pytest.raises(UnavailableError, match="CERTIFICATE_VERIFY_FAILED"):
            webhooks.send(CHANNEL, hook.url, "id", b"{}")
        assert hook.messages == []
        monkeypatch.setenv("SSL_CERT_FILE", str(made.tls_trust))
        webhooks.send(CHANNEL, hook.url, "id", b"{}")
        assert len(hook.messages) == 1
