"""A person of the market, as the other modules know him."""

from __future__ import annotations

from dataclasses import dataclass

from market.kit.errors import RoleMissingError


@dataclass(frozen=True)
class Member:
    """A logged-in person. `username` is also the account in HDFS and YARN."""

    user_id: str
    username: str
    email: str
    is_admin: bool = False
    display_name: str = ""

    def require_admin(self) -> None:
        """Raise RoleMissingError unless he is an administrator."""
        if not self.is_admin:
            raise RoleMissingError("This needs the role Admin.")
