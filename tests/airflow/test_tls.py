"""A real api-server that speaks TLS: who trusts it, what browsers are told, a key that changes under it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import requests
from airflow_server import Airflow, airflow_server
from people import until
from tls_servers import with_certificate

from distributedmarket.client import ONCE, MarketClient, NotTrustedError, Trust
from market.kit import settings, tls
from market.ops.cli import own_market
from market.ops.run import certificate
from market.ops.run.services import all_services

pytestmark = pytest.mark.database


@pytest.fixture(scope="module")
def speaking_tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Airflow]:
    folder = tmp_path_factory.mktemp("tls")
    config = folder / "market.toml"
    shipped = (settings.ROOT / "config" / "market.toml").read_text()
    config.write_text(shipped.replace('tls = "auto"', 'tls = "on"'))
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("MARKET_CONFIG", str(config))
        patched.setenv("MARKET_STATE_DIR", str(folder / "state"))
        with airflow_server(folder) as running:
            assert running.url.startswith("https://")
            yield running


def client(server: Airflow, trust: Trust) -> MarketClient:
    return MarketClient(server.url, retries=ONCE, trust=trust)


def login(server: Airflow, trust: Trust) -> MarketClient:
    return client(server, trust).login(server.settings.service.admin, server.admin_password)


def test_a_client_with_the_pin_logs_in(speaking_tls: Airflow) -> None:
    found = login(speaking_tls, Trust(pin=own_market.pin(speaking_tls.settings))).get("/users/me")
    assert found["username"] == speaking_tls.settings.service.admin


def test_a_client_with_the_authority_logs_in(speaking_tls: Airflow) -> None:
    assert login(speaking_tls, Trust(ca=str(speaking_tls.settings.tls_trust))).token


def test_a_client_with_another_pin_or_none_sends_nothing(speaking_tls: Airflow) -> None:
    for trust in (Trust(pin="sha256:" + "0" * 64), Trust()):
        with pytest.raises(NotTrustedError):
            login(speaking_tls, trust)


def test_who_speaks_plain_http_gets_no_answer(speaking_tls: Airflow) -> None:
    port = speaking_tls.settings.port("api")
    with socket.create_connection(("127.0.0.1", port), 10) as line:
        line.sendall(b"GET /market/api/v1/health HTTP/1.1\r\nHost: x\r\n\r\n")
        line.settimeout(30)
        with suppress(ConnectionResetError):
            assert b"HTTP/" not in line.recv(1 << 16)
    with pytest.raises(requests.ConnectionError):
        requests.get(f"http://127.0.0.1:{port}/market/api/v1/health", timeout=10)


def test_the_market_s_own_processes_trust_it_alone(speaking_tls: Airflow, tmp_path: Path) -> None:
    (api,) = (service for service in all_services(speaking_tls.settings) if service.name == "api-server")
    assert api.check(speaking_tls.settings) == ""
    with tls.session(speaking_tls.settings) as session:
        assert session.get(f"{speaking_tls.url}/api/v2/version", timeout=60).ok
    another = with_certificate(tmp_path / "another")
    with tls.session(another) as session, pytest.raises(requests.exceptions.SSLError):
        session.get(speaking_tls.url, timeout=10)


def test_browsers_are_told_to_come_by_tls_only_and_cookies_stay_on_it(speaking_tls: Airflow) -> None:
    with tls.session(speaking_tls.settings) as browser:
        for path in ("/market/api/v1/health", "/api/v2/version", "/auth/login/", "/market/api/v1/jobs"):
            answer = browser.get(speaking_tls.url + path, timeout=60)
            assert answer.headers["strict-transport-security"] == "max-age=31536000", path
            for cookie in answer.cookies:
                assert cookie.secure, (path, cookie.name)
        form = browser.get(f"{speaking_tls.url}/auth/login/", timeout=60).text
        csrf = form.partition('name="csrf_token"')[2].partition('value="')[2].partition('"')[0]
        entered = {
            "username": speaking_tls.settings.service.admin,
            "password": speaking_tls.admin_password,
            "csrf_token": csrf,
        }
        answer = browser.post(
            f"{speaking_tls.url}/auth/login/",
            data=entered,
            headers={"Referer": f"{speaking_tls.url}/auth/login/"},
            timeout=60,
        )
        assert answer.ok
        assert "_token" in {cookie.name for cookie in browser.cookies}
        assert [cookie.name for cookie in browser.cookies if not cookie.secure] == []


def test_a_renewed_key_is_shown_without_a_new_start(speaking_tls: Airflow) -> None:
    """Last: from then on the fingerprint is another one."""
    old = own_market.pin(speaking_tls.settings)
    certificate.renew_key(speaking_tls.settings)
    fresh = own_market.pin(speaking_tls.settings)

    def shown() -> bool:
        try:
            return bool(client(speaking_tls, Trust(pin=fresh)).get("/health"))
        except NotTrustedError:
            return False

    until(shown, "the renewed key", 30)
    with pytest.raises(NotTrustedError):
        client(speaking_tls, Trust(pin=old)).get("/health")
    (api,) = (service for service in all_services(speaking_tls.settings) if service.name == "api-server")
    assert api.check(speaking_tls.settings) == "", "the authority above it is the same"
