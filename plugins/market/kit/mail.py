"""Sends one plain-text mail through the server that [mail] names.

One call is one message to one address, within a time limit. What others wrote goes in as text: the subject
loses its control characters, and the headers are made by `email.message`, which refuses line ends in them.
"""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import localtime, make_msgid

from market.kit import settings
from market.kit.cut import cut_after
from market.kit.errors import MarketError, UnavailableError
from market.kit.mail_settings import NONE, SECRET, STARTTLS, TLS, Mail, is_address
from market.kit.text import plain

_STEP_S = 10.0  # for the connection, and for each answer of the server
_WHOLE_S = 30.0  # for one mail in all
_MAX_SUBJECT, _MAX_TEXT = 200, 100_000  # characters
_MAX_REPLY = 300
_READY = 220
_PERMANENT = 500  # replies from here on say that trying again does not help


class MailRefusedError(MarketError):
    """The recipient or the message is refused for good: sending it again does not help."""

    status = 422
    title = "Mail refused"


def send(to: str, subject: str, text: str, reference: str | None = None) -> None:
    """Send a plain-text mail to one address.

    `reference` is the same for each try of one message: it becomes the Message-ID, by which mailboxes tell a
    message that came twice. The subject is cut to 200 characters, the text to 100 000.

    Raises MailRefusedError where trying again does not help, and UnavailableError where it may: the server is
    away, slow, or has no use for the market's login, or [mail] names none.
    """
    loaded = settings.load()
    mail = loaded.mail
    if not mail.enabled:
        raise UnavailableError("This market sends no mail: its operator has set no [mail] host.")
    if not is_address(to):
        raise MailRefusedError("This is no mail address that the market can write to.")
    message = _message(mail, to, subject, text, reference)
    password = loaded.secret(SECRET) if mail.user else ""
    try:
        with _session(mail) as server:
            if mail.user:
                server.login(mail.user, password)
            server.sendmail(mail.sender, [to], message.as_bytes())
    except smtplib.SMTPRecipientsRefused as error:
        code, words = next(iter(error.recipients.values()))
        raise _refusal(code, words) from None
    except smtplib.SMTPDataError as error:
        raise _refusal(error.smtp_code, error.smtp_error) from None
    except smtplib.SMTPResponseException as error:  # of the login or the sender: the operator's to mend
        raise UnavailableError(f"The mail server refuses the market: {_words(error.smtp_error)}") from None
    except (OSError, smtplib.SMTPException) as error:
        raise UnavailableError(f"The mail server does not answer: {_words(str(error))}") from None


def _message(mail: Mail, to: str, subject: str, text: str, reference: str | None) -> EmailMessage:
    domain = _domain(mail)
    message = EmailMessage(policy=SMTP)
    message["From"] = Address("DistributedMarket", addr_spec=mail.sender)
    message["To"] = Address(addr_spec=to)
    message["Subject"] = plain(subject, _MAX_SUBJECT)
    message["Date"] = localtime()
    message["Message-ID"] = f"<{reference}@{domain}>" if reference else make_msgid(domain=domain)
    message["Auto-Submitted"] = "auto-generated"  # so that no absence note answers (RFC 3834)
    lines = [plain(line) for line in text[:_MAX_TEXT].splitlines()]
    message.set_content("\n".join(lines) + "\n", cte="quoted-printable")  # which every server takes
    return message


def _domain(mail: Mail) -> str:
    return mail.sender.rpartition("@")[2]


@contextmanager
def _session(mail: Mail) -> Iterator[smtplib.SMTP]:
    """Yield a connection to the server, encrypted as [mail] says; it is cut when the time is over."""
    name = _domain(mail)  # what the market greets with: to look the host's own up may take long
    trust = ssl.create_default_context(cafile=mail.tls_ca or None) if mail.tls != NONE else None
    if mail.tls == TLS:
        server: smtplib.SMTP = smtplib.SMTP_SSL(local_hostname=name, timeout=_STEP_S, context=trust)
    else:
        server = smtplib.SMTP(local_hostname=name, timeout=_STEP_S)
    server._host = mail.host  # type: ignore[attr-defined]  # what the certificate is checked against
    try:
        with cut_after(_WHOLE_S, lambda: server.sock):
            code, words = server.connect(mail.host, mail.port)
            if code != _READY:
                raise smtplib.SMTPConnectError(code, words)
            if mail.tls == STARTTLS:
                server.starttls(context=trust)
            yield server
            with suppress(OSError, smtplib.SMTPException):  # it has the message
                server.quit()
    finally:
        server.close()


def _refusal(code: int, words: bytes | str) -> MarketError:
    if code >= _PERMANENT:
        return MailRefusedError(f"The mail server refuses this mail: {_words(words)}")
    return UnavailableError(f"The mail server does not take this mail now: {_words(words)}")


def _words(reply: bytes | str) -> str:
    return plain(reply.decode("utf-8", "replace") if isinstance(reply, bytes) else reply, _MAX_REPLY)
