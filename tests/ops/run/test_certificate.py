"""The API's certificate: made once, renewed in time under the same key, of the market's own authority."""

from __future__ import annotations

import stat
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from tls_servers import with_certificate

from market.kit import settings, tls
from market.kit.settings import Settings, SettingsError
from market.ops.run import certificate


def end_of(loaded: Settings) -> datetime:
    return x509.load_pem_x509_certificate(loaded.tls_certificate.read_bytes()).not_valid_after_utc


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize(
    ("bind", "said", "speaks"),
    [
        ("127.0.0.1", "auto", False),
        ("127.0.0.9", "auto", False),
        ("::1", "auto", False),
        ("10.8.0.1", "auto", True),
        ("0.0.0.0", "auto", True),
        ("127.0.0.1", "on", True),
        ("10.8.0.1", "off", False),
    ],
)
def test_it_is_on_by_default_beyond_loopback(tmp_path: Path, bind: str, said: str, speaks: bool) -> None:
    loaded = settings.load(tmp_path)
    loaded = replace(loaded, bind=bind, security=replace(loaded.security, tls=said))
    assert loaded.tls is speaks
    assert loaded.url("api").startswith("https://" if speaks else "http://")
    assert loaded.url("namenode_http").startswith("http://")


def test_without_tls_there_is_none(tmp_path: Path) -> None:
    assert certificate.prepare(settings.load(tmp_path)) is False
    assert list(tmp_path.iterdir()) == []


def test_the_keys_are_closed_to_others_and_the_certificates_open(tmp_path: Path) -> None:
    loaded = with_certificate(tmp_path / "state")
    assert mode(loaded.tls_key) == mode(loaded.paths.secrets / certificate.AUTHORITY_KEY) == 0o600
    assert mode(loaded.paths.secrets) == 0o700
    assert mode(loaded.tls_certificate) == mode(loaded.tls_trust) == 0o644
    assert b"PRIVATE" not in loaded.tls_certificate.read_bytes() + loaded.tls_trust.read_bytes()


def test_it_stays_until_it_ends_soon_and_is_renewed_under_the_same_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = with_certificate(tmp_path / "state")
    first, trusted = loaded.tls_certificate.read_bytes(), loaded.tls_trust.read_bytes()
    assert end_of(loaded) > datetime.now(UTC) + timedelta(days=390)
    assert certificate.prepare(loaded) is False
    assert loaded.tls_certificate.read_bytes() == first

    monkeypatch.setattr(certificate, "VALID", timedelta(days=60))
    certificate.renew_key(loaded)
    monkeypatch.undo()
    pin, ends = tls.pin(loaded), end_of(loaded)
    assert ends < datetime.now(UTC) + timedelta(days=61)
    assert certificate.prepare(loaded) is True, "it ends within 90 days"
    assert end_of(loaded) > ends
    assert (tls.pin(loaded), loaded.tls_trust.read_bytes()) == (pin, trusted)


def test_another_address_needs_another_certificate(tmp_path: Path) -> None:
    loaded = with_certificate(tmp_path / "state")
    assert certificate.prepare(replace(loaded, bind="10.8.0.1")) is True


def test_a_rotated_key_has_another_fingerprint_under_the_same_authority(tmp_path: Path) -> None:
    loaded = with_certificate(tmp_path / "state")
    pin, key, trusted = tls.pin(loaded), loaded.tls_key.read_text(), loaded.tls_trust.read_bytes()
    certificate.renew_key(loaded)
    assert tls.pin(loaded) != pin
    assert loaded.tls_key.read_text() != key
    assert loaded.tls_trust.read_bytes() == trusted
    assert mode(loaded.tls_key) == 0o600


def test_a_given_one_is_used_as_it_is_and_its_key_must_be_closed(tmp_path: Path) -> None:
    given = with_certificate(tmp_path / "given")
    loaded = with_certificate(
        tmp_path / "state",
        tls_certificate=str(given.tls_certificate),
        tls_key=str(given.tls_key),
        tls_name="localhost",
    )
    assert not loaded.paths.tls.exists()
    assert loaded.url("api").startswith("https://localhost:")
    assert tls.pin(loaded) == tls.pin(given)
    given.tls_key.chmod(0o644)
    with pytest.raises(SettingsError, match="mode 600"):
        certificate.prepare(loaded)
    given.tls_key.unlink()
    with pytest.raises(SettingsError, match="cannot be read"):
        certificate.prepare(loaded)
