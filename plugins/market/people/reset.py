"""A new password for whoever has forgotten the old one: by a code that is mailed to a confirmed address.

Who asks learns nothing of the account: what he typed is written down as it is, and looked up later, by
another process.
"""

from __future__ import annotations

from market.kit.errors import BadInputError
from market.kit.vocabulary import RESET
from market.people import account_mails, limits, members, passwords
from market.people.logins import Logins

# What is told to whoever asks, whatever there is.
ASKED = "If there is such an account and its address is confirmed, a mail is on its way there."


def ask(account: str, address: str) -> None:
    """Have a code mailed to the account with this name or address, if its address is confirmed.

    `address` is the caller's. Raises OverLimitError, ConflictError if this market sends no mail.
    """
    account_mails.check_mail()
    limits.reset(address, account)
    account_mails.add_reset(account.strip())


def set_password(logins: Logins, code: str, new_password: str, address: str) -> None:
    """Set a new password by a code: all sessions and tokens end. `address` is the caller's.

    Raises BadInputError for a code that is not good any more, or a password that breaks a rule (the code is
    good after that); OverLimitError.
    """
    limits.code(address)
    sent = account_mails.look(RESET, code)
    username = members.username(sent.user_id)
    login = logins.named(username)
    if login is None:
        raise BadInputError({"code": ["is of an account that was deleted"]})
    passwords.check(new_password, username, sent.email, field="new_password")
    account_mails.take(RESET, code)
    logins.change_password(login, new_password)
