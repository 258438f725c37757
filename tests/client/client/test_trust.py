"""A client speaks to its market alone: nothing is sent before the other side has proved to be it."""

from __future__ import annotations

import hashlib
import socket
import ssl
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tls_servers import ANSWER, speaking_tls, with_certificate

from distributedmarket import Market, profiles
from distributedmarket.client import (
    ONCE,
    MarketClient,
    MarketClientError,
    NotTrustedError,
    Retries,
    Trust,
    UnreachableError,
)
from distributedmarket.client.trust import pin_of, pin_of_file
from distributedmarket.sdk.market import log_in
from market.kit import tls
from market.kit.settings import Settings

PASSWORD = "swordfish"


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return with_certificate(tmp_path_factory.mktemp("own"))


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return with_certificate(tmp_path_factory.mktemp("other"))


def client(port: int, trust: Trust, host: str = "127.0.0.1") -> MarketClient:
    return MarketClient(f"https://{host}:{port}", retries=ONCE, trust=trust)


def test_the_pin_is_that_of_the_public_key(own: Settings) -> None:
    certificate = x509.load_pem_x509_certificate(own.tls_certificate.read_bytes())
    key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    expected = f"sha256:{hashlib.sha256(key).hexdigest()}"
    assert pin_of_file(own.tls_certificate) == pin_of(certificate.public_bytes(Encoding.DER)) == expected
    assert tls.pin(own) == expected


def test_what_is_no_certificate_has_no_pin(own: Settings) -> None:
    whole = ssl.PEM_cert_to_DER_cert(own.tls_trust.read_text())
    for length in range(0, len(whole) - 1, 7):
        with pytest.raises(ValueError, match="no certificate"):
            pin_of(whole[:length])
    with pytest.raises(ValueError, match="no certificate"):
        pin_of(b"\x30\x84\xff\xff\xff\xff")


@pytest.mark.parametrize("by", ["pin", "ca"])
def test_the_right_market_is_spoken_to(own: Settings, by: str) -> None:
    trust = Trust(pin=tls.pin(own)) if by == "pin" else Trust(ca=str(own.tls_trust))
    with speaking_tls(own) as heard:
        client(heard.port, trust).login("ada", PASSWORD)
    assert PASSWORD.encode() in b"".join(heard.words)


def test_a_pin_needs_no_name(own: Settings) -> None:
    """A lender may reach the market by an address that its certificate does not name."""
    with speaking_tls(own) as heard:
        client(heard.port, Trust(pin=tls.pin(own)), "127.0.0.77").login("ada", PASSWORD)


@pytest.mark.parametrize("by", ["pin", "ca", "nothing"])
def test_another_s_server_hears_nothing(own: Settings, other: Settings, by: str) -> None:
    trust = {"pin": Trust(pin=tls.pin(own)), "ca": Trust(ca=str(own.tls_trust)), "nothing": Trust()}[by]
    with speaking_tls(other) as heard:
        market = MarketClient(
            f"https://127.0.0.1:{heard.port}", token="sesame", retries=Retries(attempts=3), trust=trust
        )
        with pytest.raises(NotTrustedError, match="nothing was sent"):
            market.login("ada", PASSWORD)
        with pytest.raises(NotTrustedError, match="nothing was sent"):
            market.get("/jobs")
        with pytest.raises(NotTrustedError, match="nothing was sent"):
            market.upload("a", b"secret")
    assert heard.words == []


def test_a_handshake_that_breaks_off_is_no_distrust(own: Settings) -> None:
    """A market that starts anew cuts lines: an agent goes on trying."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=lambda: listener.accept()[0].close(), daemon=True).start()
        with pytest.raises(UnreachableError):
            client(listener.getsockname()[1], Trust(pin=tls.pin(own))).get("/jobs")


def test_nothing_goes_beyond_this_host_in_the_clear() -> None:
    for url in ("http://10.8.0.1:8080", "http://market.example.org"):
        with pytest.raises(MarketClientError, match="passwords can be read on the way"):
            MarketClient(url, token="sesame")
        MarketClient(url, token="sesame", trust=Trust(plain=True))
    MarketClient("http://127.0.0.1:8080", token="sesame")


def test_what_is_to_prove_itself_is_not_spoken_to_in_the_clear(own: Settings) -> None:
    for trust in (Trust(pin=tls.pin(own)), Trust(ca=str(own.tls_trust), plain=True)):
        with pytest.raises(MarketClientError, match="https://"):
            MarketClient("http://127.0.0.1:8080", token="sesame", trust=trust)


def test_no_answer_sends_a_client_elsewhere(own: Settings, other: Settings) -> None:
    with speaking_tls(other) as elsewhere:
        away = b"HTTP/1.1 307 Elsewhere\r\nLocation: https://127.0.0.1:%d/x\r\nContent-Length: 0\r\n\r\n"
        with speaking_tls(own, away % elsewhere.port) as heard, pytest.raises(MarketClientError):
            client(heard.port, Trust(pin=tls.pin(own))).login("ada", PASSWORD)
    assert len(heard.words) == 1
    assert elsewhere.words == []


@pytest.mark.parametrize("pin", ["sha256:abc", "md5:" + "0" * 64, "0" * 64, "sha256:" + "G" * 64])
def test_a_pin_that_is_none_is_told(pin: str) -> None:
    with pytest.raises(MarketClientError, match="64 hex digits"):
        Trust(pin=pin)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(MarketClientError, match="no file"):
        Trust(ca=str(tmp_path / "none.pem"))


def test_a_login_at_the_command_line_remembers_the_pin(
    own: Settings, other: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MARKET_PROFILES", str(tmp_path / "profiles.json"))
    trust = Trust(pin=tls.pin(own))
    answer = b'{"access_token": "sesame", "expires_in": 60, "user_id": "1"}'
    with speaking_tls(own, ANSWER % (len(answer), answer)) as heard:
        log_in(f"https://127.0.0.1:{heard.port}", "ada", PASSWORD, trust=trust)
    known = profiles.find()
    assert known is not None
    assert known.trust == trust
    with speaking_tls(other) as elsewhere:
        profiles.save(replace(known, server=f"https://127.0.0.1:{elsewhere.port}"))
        with pytest.raises(NotTrustedError):
            Market().user_id  # noqa: B018
    assert elsewhere.words == []
