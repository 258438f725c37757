"""The API's certificate, where none was given: made at the first start, by an authority of the market's own.

Clients trust the authority, or know the API by its key's fingerprint: so a certificate is renewed, long
before its end, without anybody's doing. The keys lie among the secrets; what is signed with them is none.
"""

from __future__ import annotations

import ipaddress
import os
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from market.kit.settings import Settings, SettingsError
from market.ops.run import secrets

AUTHORITY_KEY = "api_tls_ca_key"
VALID = timedelta(days=397)  # browsers take no longer ones
RENEWED_BEFORE = timedelta(days=90)
_AUTHORITY_VALID = timedelta(days=3650)
_CLOCKS_DIFFER = timedelta(days=1)


def prepare(settings: Settings) -> bool:
    """Make what is missing or ends soon; tell whether the API's certificate is another one now.

    Raises SettingsError for a given certificate that cannot be read.
    """
    if not settings.tls:
        return False
    if not settings.own_certificate:
        _check_given(settings)
        return False
    authority, signer = _authority(settings)
    key = _key(settings.tls_key)
    if _holds(settings, authority, key):
        return False
    _write(settings.tls_certificate, _signed(settings, key, authority, signer), authority)
    return True


def renew_key(settings: Settings) -> None:
    """Give the API another key, and a certificate for it: its fingerprint is another one from now on."""
    authority, signer = _authority(settings)
    fresh = ec.generate_private_key(ec.SECP256R1())
    certificate = _signed(settings, fresh, authority, signer)
    secrets.replace(settings.tls_key, _pem(fresh).encode())
    _write(settings.tls_certificate, certificate, authority)


def _check_given(settings: Settings) -> None:
    for file in (settings.tls_certificate, settings.tls_key, settings.tls_trust):
        if not os.access(file, os.R_OK):
            raise SettingsError(f"[security] {file} cannot be read")
    if settings.tls_key.stat().st_mode & 0o077:
        raise SettingsError(f"[security] tls_key {settings.tls_key} can be read by others: give it mode 600")


def _authority(settings: Settings) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """Return the authority's certificate and key, made if they are not there."""
    key, file = _key(settings.paths.secrets / AUTHORITY_KEY), settings.tls_trust
    known = x509.load_pem_x509_certificate(file.read_bytes()) if file.exists() else None
    if known is not None and known.public_key() == key.public_key() and _lasts(known):
        return known, key
    name = _name("DistributedMarket authority")
    made = (
        _builder(name, name, key.public_key(), _AUTHORITY_VALID)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    _write(file, made)
    return made, key


def _signed(
    settings: Settings,
    key: ec.EllipticCurvePrivateKey,
    authority: x509.Certificate,
    signer: ec.EllipticCurvePrivateKey,
) -> x509.Certificate:
    return (
        _builder(_name("DistributedMarket API"), authority.subject, key.public_key(), VALID)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(_names(settings)), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
        .sign(signer, hashes.SHA256())
    )


def _holds(settings: Settings, authority: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> bool:
    """Tell whether the certificate is there, for this key, address and authority, and for long enough."""
    if not settings.tls_certificate.exists():
        return False
    found = x509.load_pem_x509_certificate(settings.tls_certificate.read_bytes())
    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    try:
        found.verify_directly_issued_by(authority)
    except Exception:  # of several types: it is another authority's
        return False
    return found.public_key() == key.public_key() and list(names) == _names(settings) and _lasts(found)


def _lasts(certificate: x509.Certificate) -> bool:
    return certificate.not_valid_after_utc - datetime.now(UTC) > RENEWED_BEFORE


def _names(settings: Settings) -> list[x509.GeneralName]:
    """Return what the API is called: its address, that of loopback, and the host's name."""
    found: dict[str, x509.GeneralName] = {}
    for name in (settings.bind, settings.security.tls_name, "127.0.0.1", "localhost", socket.gethostname()):
        try:
            found[name] = x509.IPAddress(ipaddress.ip_address(name))
        except ValueError:
            if name.isascii() and name:
                found[name] = x509.DNSName(name)
    return list(found.values())


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, valid: timedelta
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCKS_DIFFER)
        .not_valid_after(now + valid)
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _usage(signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _key(file: Path) -> ec.EllipticCurvePrivateKey:
    """Return a key of the market's own, made if it is not there."""
    if not file.exists():
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        secrets.write(file, _pem(ec.generate_private_key(ec.SECP256R1())))
    key = load_pem_private_key(file.read_bytes(), None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise SettingsError(f"{file} is no key that the market has made")
    return key


def _pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode().strip()


def _write(file: Path, *certificates: x509.Certificate) -> None:
    """Write certificates into a file, which is there whole or not at all."""
    file.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    fresh = file.with_name(f".{file.name}.{os.getpid()}")
    fresh.write_bytes(b"".join(one.public_bytes(Encoding.PEM) for one in certificates))
    fresh.chmod(0o644)
    fresh.rename(file)
