import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from mail_server import MailServer, mail_server
from tls_servers import with_certificate

from market.kit import mail, settings
from market.kit.errors import UnavailableError
from market.kit.mail_settings import SECRET

Using = Callable[..., None]


@pytest.fixture
def using(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Using:
    """Have [mail] lead to a server."""

    def use(server: MailServer, **values: object) -> None:
        given = {"host": "127.0.0.1", "port": server.port, "tls": "none", "sender": "market@example.org"}
        own = tmp_path / "market.toml"
        lines = [f"{key} = {_toml(value)}" for key, value in {**given, **values}.items()]
        own.write_text("\n".join(["[mail]", *lines]))
        monkeypatch.setenv("MARKET_CONFIG", str(own))
        monkeypatch.setenv("MARKET_STATE_DIR", str(tmp_path / f"state{time.monotonic_ns()}"))

    return use


def _toml(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)


@pytest.fixture
def server() -> Iterator[MailServer]:
    with mail_server() as running:
        yield running


def test_a_mail_arrives_as_it_was_written(server: MailServer, using: Using) -> None:
    using(server)
    mail.send("ada@example.org", "Grüße", "Erste Zeile\n.\nFrom der Punkt\n" + "x" * 3000, reference="abc")
    (kept,) = server.envelopes
    assert (kept.sender, kept.recipients) == ("market@example.org", ["ada@example.org"])
    assert kept.message["Subject"] == "Grüße"
    assert kept.message["Message-ID"] == "<abc@example.org>"
    assert kept.message["Auto-Submitted"] == "auto-generated"
    assert kept.text == "Erste Zeile\n.\nFrom der Punkt\n" + "x" * 3000 + "\n"
    assert max(map(len, kept.raw.splitlines())) <= 998  # RFC 5322


@pytest.mark.parametrize("end", ["\r\n", "\n", "\r", "\u2028", "\x85", "\0"])
def test_a_subject_makes_no_header(server: MailServer, using: Using, end: str) -> None:
    using(server)
    mail.send("ada@example.org", f"Job{end}Bcc: eve@example.org{end}{end}body", f"one{end}two")
    (kept,) = server.envelopes
    assert kept.recipients == ["ada@example.org"]
    assert kept.message["Bcc"] is None
    assert kept.message["Subject"] == "Job Bcc: eve@example.org body"
    assert "body" not in kept.text


@pytest.mark.parametrize(
    "to",
    [
        *("", "ada", "ada@example.org,eve@example.org", "ada@example.org\r\nBcc: eve@example.org"),
        *("Ada <ada@example.org>", "<ada@example.org>", "ada @example.org", "a" * 300 + "@example.org"),
    ],
)
def test_one_plain_address_or_none(server: MailServer, using: Using, to: str) -> None:
    using(server)
    with pytest.raises(mail.MailRefusedError):
        mail.send(to, "subject", "text")
    assert server.envelopes == []


def test_subject_and_text_are_bounded(server: MailServer, using: Using) -> None:
    using(server)
    mail.send("ada@example.org", "s" * 10_000, "t" * 1_000_000)
    (kept,) = server.envelopes
    assert len(kept.message["Subject"]) == 200
    assert len(kept.text) == 100_001


def test_without_a_host_nothing_is_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MARKET_STATE_DIR", str(tmp_path))
    with pytest.raises(UnavailableError, match="sends no mail"):
        mail.send("ada@example.org", "subject", "text")


@pytest.fixture(scope="module")
def certified(tmp_path_factory: pytest.TempPathFactory) -> settings.Settings:
    return with_certificate(tmp_path_factory.mktemp("mail"))


@pytest.fixture(scope="module")
def certificate(certified: settings.Settings) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certified.tls_certificate, certified.tls_key)
    return context


@pytest.mark.parametrize("way", ["starttls", "tls"])
def test_the_password_of_the_secret_is_sent_encrypted(
    certified: settings.Settings, certificate: ssl.SSLContext, using: Using, way: str
) -> None:
    with mail_server(login=("market", "sesame"), **{way: certificate}) as server:
        using(server, tls=way, tls_ca=str(certified.tls_trust), user="market")
        secrets = settings.load().paths.secrets
        secrets.mkdir(parents=True)
        (secrets / SECRET).write_text("sesame\n")
        mail.send("ada@example.org", "subject", "text")
        (kept,) = server.envelopes
        assert (kept.encrypted, kept.login) == (True, "market")
        (secrets / SECRET).write_text("wrong\n")
        with pytest.raises(UnavailableError, match="wrong password"):
            mail.send("ada@example.org", "subject", "text")


@pytest.mark.parametrize("way", ["starttls", "tls"])
def test_a_server_that_nobody_vouches_for_gets_nothing(
    certificate: ssl.SSLContext, using: Using, way: str
) -> None:
    with mail_server(**{way: certificate}) as server:
        using(server, tls=way)
        with pytest.raises(UnavailableError, match="CERTIFICATE_VERIFY_FAILED"):
            mail.send("ada@example.org", "subject", "text")
        assert server.envelopes == []


def test_a_server_without_encryption_gets_nothing(server: MailServer, using: Using) -> None:
    using(server, tls="starttls")
    with pytest.raises(UnavailableError, match="STARTTLS"):
        mail.send("ada@example.org", "subject", "text")
    assert server.envelopes == []


@pytest.mark.parametrize(
    ("verb", "reply", "error"),
    [
        ("RCPT", "550 nobody of that name", mail.MailRefusedError),
        ("RCPT", "450 full", UnavailableError),
        ("DATA", "554 this is spam", mail.MailRefusedError),
        ("DATA", "451 later", UnavailableError),
        ("MAIL", "553 not you", UnavailableError),
        ("CONNECT", "554 go away", UnavailableError),
        ("EHLO", "421 \x1b[31mred", UnavailableError),
    ],
)
def test_a_refusal_says_whether_another_try_helps(
    server: MailServer, using: Using, verb: str, reply: str, error: type[Exception]
) -> None:
    using(server)
    server.replies = {verb: reply, "HELO": reply} if verb == "EHLO" else {verb: reply}
    with pytest.raises(error) as raised:
        mail.send("ada@example.org", "subject", "text")
    assert reply[4:].replace("\x1b", " ") in str(raised.value)
    assert server.envelopes == []


def test_a_server_that_answers_without_end_is_left(
    server: MailServer, using: Using, monkeypatch: pytest.MonkeyPatch
) -> None:
    using(server)
    server.drips = True
    monkeypatch.setattr(mail, "_WHOLE_S", 1.0)
    began = time.monotonic()
    with pytest.raises(UnavailableError):
        mail.send("ada@example.org", "subject", "text")
    assert time.monotonic() - began < 5


def test_nobody_listens(server: MailServer, using: Using) -> None:
    using(replace(server, port=1))
    with pytest.raises(UnavailableError, match="does not answer"):
        mail.send("ada@example.org", "subject", "text")
