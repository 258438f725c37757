"""Section [mail]: the server that the market's mails go out by. Standard library only, as `settings`."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path

from market.kit.settings_files import SettingsError

NONE, STARTTLS, TLS = TLS_MODES = ("none", "starttls", "tls")
SECRET = "mail_password"  # noqa: S105 - the name of the secret

_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.:-]{0,251}[A-Za-z0-9])?")
_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")


@dataclass(frozen=True)
class Mail:
    """Section [mail]; without a host, no mail is sent. With a user, the password is the secret SECRET."""

    host: str = ""
    port: int = 587
    tls: str = STARTTLS
    tls_ca: str = ""
    user: str = ""
    sender: str = ""

    @property
    def enabled(self) -> bool:
        """Whether the market can send mail."""
        return bool(self.host)


def is_address(text: str) -> bool:
    """Tell whether a text is one plain mail address, which can stand in a header as it is."""
    return len(text) <= 254 and _ADDRESS.fullmatch(text) is not None


def check(source: Path, mail: Mail) -> None:
    """Refuse what no mail could be sent by. Raises SettingsError, naming the setting."""
    if mail.tls not in TLS_MODES:
        raise SettingsError(f"{source}: [mail] tls must be one of {', '.join(TLS_MODES)}")
    if not mail.enabled:
        return
    if not _HOST.fullmatch(mail.host):
        raise SettingsError(f"{source}: [mail] host must be the name or the address of a host")
    if not 0 < mail.port < 65536:
        raise SettingsError(f"{source}: [mail] port must be a number from 1 to 65535")
    if not is_address(mail.sender):
        raise SettingsError(f"{source}: [mail] sender must be a mail address, like market@example.org")
    if mail.user and mail.tls == NONE and not _is_loopback(mail.host):
        raise SettingsError(f"{source}: [mail] user needs tls: else the password travels as it is")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
