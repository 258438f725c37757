"""People who register at a market without Airflow, and what is mailed to them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from mail_server import MailServer

from market.kit.errors import ConflictError
from market.people import account_mails, mailing, members, registration
from market.people.logins import ADMIN, ROLE, Login, Token
from market.people.member import Member

PASSWORD = "a long password"


@dataclass
class People:
    """The logins of a market, without Airflow: `market.people.logins.Logins`."""

    passwords: dict[str, str] = field(default_factory=dict)
    logins: dict[str, Login] = field(default_factory=dict)

    def register(self, name: str, email: str = "", **options: str) -> Member:
        """Register somebody; return him as a member."""
        registration.register(self, name, PASSWORD, email or f"{name}@example.org", "10.0.0.1", **options)
        return self.member(name)

    def member(self, name: str) -> Member:
        """Return somebody as he is now."""
        found = members.of_login(self.logins[name])
        assert found is not None
        return found

    def named(self, username: str) -> Login | None:
        return self.logins.get(username)

    def with_email(self, email: str) -> Login | None:
        return next((one for one in self.logins.values() if one.email.lower() == email.lower()), None)

    def add(self, username: str, email: str, password: str) -> Login:
        self.passwords[username] = password
        roles = frozenset({ADMIN if username == "root-of-all" else ROLE})
        self.logins[username] = Login(1000 + len(self.logins), username, email, roles, username)
        return self.logins[username]

    def check(self, username: str, password: str) -> Login | None:
        return self.logins.get(username) if self.passwords.get(username) == password else None

    def change_password(self, login: Login, password: str) -> None:
        self.passwords[login.username] = password
        account_mails.end_all(login.login_id)

    def change_email(self, login_id: int, email: str) -> None:
        other = self.with_email(email)
        if other is not None and other.login_id != login_id:
            raise ConflictError("taken")
        self._replace(login_id, email=email)

    def rename(self, login_id: int, display_name: str) -> None:
        self._replace(login_id, display_name=display_name)

    def _replace(self, login_id: int, **changes: str) -> None:
        (name,) = [one.username for one in self.logins.values() if one.login_id == login_id]
        self.logins[name] = replace(self.logins[name], **changes)  # type: ignore[arg-type]

    def password_key(self, login_id: int) -> str:
        raise NotImplementedError

    def issue(self, login: Login) -> Token:
        raise NotImplementedError


def code_for(mailbox: MailServer, email: str) -> str:
    """Have what is due sent; return the code in the last mail to an address."""
    mailing.run()
    texts = [envelope.text for envelope in mailbox.envelopes if envelope.recipients == [email]]
    assert texts, f"no mail to {email}"
    found = re.search(r"/account/\w+#(\S+)", texts[-1])
    assert found, texts[-1]
    return found[1]
