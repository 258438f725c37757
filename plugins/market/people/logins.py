"""What people need of logins. `airflow/logins.py` keeps them, with passwords, roles and tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

ADMIN = "Admin"
ROLE = "MarketUser"


@dataclass(frozen=True)
class Login:
    """Somebody who can log in; `login_id` is Flask-AppBuilder's `ab_user.id`."""

    login_id: int
    username: str
    email: str
    roles: frozenset[str]
    display_name: str = ""

    @property
    def is_admin(self) -> bool:
        """Tell whether it has the role Admin."""
        return ADMIN in self.roles


@dataclass(frozen=True)
class Token:
    """What proves a login from now on."""

    text: str
    lifetime_s: int


class Logins(Protocol):
    """The logins of this market."""

    def named(self, username: str) -> Login | None:
        """Return the login with this name."""

    def with_email(self, email: str) -> Login | None:
        """Return the login with this e-mail address, in capital or small letters."""

    def add(self, username: str, email: str, password: str) -> Login:
        """Make a login with the role of market users.

        Raises ConflictError if somebody else was faster with the name or the address, UnavailableError if it
        cannot be stored.
        """

    def check(self, username: str, password: str) -> Login | None:
        """Return the active login whose password this is; an attempt is counted. Raises OverLimitError."""

    def change_password(self, login: Login, password: str) -> None:
        """Give a login another password; its sessions and tokens end. Raises BadInputError."""

    def change_email(self, login_id: int, email: str) -> None:
        """Give a login another e-mail address.

        Raises ConflictError if another one has it, NotLoggedInError if the login is gone meanwhile.
        """

    def rename(self, login_id: int, display_name: str) -> None:
        """Give a login another name to be shown by. Raises NotLoggedInError if it is gone meanwhile."""

    def end_sessions(self, login_id: int) -> None:
        """End the sessions of a login on pages that do not know the market's members."""

    def password_key(self, login_id: int) -> str:
        """Return what changes with a login's password, and with nothing else.

        Raises NotLoggedInError if the login is gone meanwhile.
        """

    def issue(self, login: Login) -> Token:
        """Return a new token for a login. Raises NotLoggedInError if it is gone meanwhile."""
