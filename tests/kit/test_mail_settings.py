from pathlib import Path

import pytest

from market.kit import mail_settings
from market.kit.mail_settings import Mail
from market.kit.settings import SettingsError

RIGHT = {"host": "mail.example.org", "sender": "market@example.org"}


@pytest.mark.parametrize(
    "mail",
    [
        Mail(),
        Mail(**RIGHT),
        Mail(**RIGHT, user="market", tls="tls"),
        Mail(**RIGHT | {"host": "127.0.0.1"}, user="market", tls="none"),
        Mail(**RIGHT, tls="none"),
    ],
)
def test_what_mail_can_be_sent_by(mail: Mail) -> None:
    mail_settings.check(Path("market.toml"), mail)


@pytest.mark.parametrize(
    ("mail", "named"),
    [
        (Mail(**RIGHT, user="market", tls="none"), "user needs tls"),
        (Mail(**RIGHT, port=0), "port"),
        (Mail(**RIGHT | {"sender": "a@b.org, c@d.org"}), "sender"),
        (Mail(**RIGHT | {"sender": "a@b.org\r\nBcc: c@d.org"}), "sender"),
        (Mail(**RIGHT | {"host": "mail.example.org\r\n"}), "host"),
    ],
)
def test_what_it_cannot_be_sent_by_is_named(mail: Mail, named: str) -> None:
    with pytest.raises(SettingsError, match=named):
        mail_settings.check(Path("market.toml"), mail)
