"""Registration: a login, a member with an account and first credits, a home in HDFS."""

from __future__ import annotations

import logging
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

from market.hadoop import kerberos
from market.kit import database
from market.kit.errors import BadInputError, ConflictError, MarketError, UnavailableError
from market.kit.mail_settings import is_address
from market.kit.settings import load
from market.kit.vocabulary import CONFIRMED, INVITED
from market.kit.wire import loaded
from market.people import confirmation, homes, invitations, limits, members, passwords, profile
from market.people.logins import ADMIN, ROLE, Login, Logins
from market.people.member import Member
from market.people.schemas import USERNAME, RegistrationSchema

log = logging.getLogger(__name__)

# What operating systems, Hadoop, PostgreSQL and Airflow call somebody or everybody, and what pages and
# addresses mean by themselves; one a line. Beside them what HDFS and YARN call every machine: what is that
# member's would be all machines'.
_RESERVED = frozenset(Path(__file__).with_name("reserved_names.txt").read_text().split())


def register(
    logins: Logins, username: str, password: str, email: str, address: str, invitation: str = ""
) -> dict[str, Any]:
    """Make a user; return him as `GET /users/me` shows him. `address` is the caller's.

    E-mail addresses are kept in small letters: two that differ in nothing else are one person's. The
    invitation matters where people come by invitation only. Where the first credits wait for the address to
    be confirmed, a code is mailed there.
    Raises OverLimitError; BadInputError for a name, password or address that breaks a rule, a reserved name,
    or an invitation that is not valid; ConflictError for a name or address that is taken; UnavailableError if
    HDFS does not answer (nobody is made then).
    """
    limits.registration(address)
    given = {"username": username, "password": password, "email": email, "invitation": invitation}
    loaded(RegistrationSchema(), given)
    invited = load().accounts.registration == INVITED
    if invited:
        invitations.check(invitation)  # first: who has none learns no names
    email = email.lower()
    if load().accounts.registration == CONFIRMED and not is_address(email):
        raise BadInputError({"email": ["is no address that this market can send mail to"]})
    passwords.check(password, username, email)
    _check_name(username, logins.named(username))
    if logins.with_email(email):
        raise ConflictError("This e-mail address has an account already. Log in with it.")
    homes.make(username)  # first, as it may fail: an empty home for a name that nobody has does no harm
    if invited:
        invitations.use(invitation, username)
    try:
        login = logins.add(username, email, password)
    except Exception:
        if invited:
            invitations.give_back(invitation)
        raise
    member = members.enrol(login)
    _ask_to_confirm(member)
    return profile.profile(member)


def _ask_to_confirm(member: Member) -> None:
    """Mail a new member the code that his credits wait for; he can ask for another one."""
    if load().accounts.registration != CONFIRMED:
        return
    with suppress(MarketError), database.transaction() as cursor:
        confirmation.add(cursor, member.user_id, member.email)


def complete(login: Login) -> Member | None:
    """Give a login its market account if its role entitles it to one and it has none.

    So a registration that was cut off is finished, and a user whom an administrator made in Airflow is
    enrolled.
    """
    if not login.roles & {ROLE, ADMIN}:
        return None
    if not re.fullmatch(USERNAME, login.username) or login.username == kerberos.MACHINES:
        log.warning("%r gets no market account: HDFS and YARN would not take the name", login.username)
        return None
    member = members.enrol(login)
    try:
        homes.make(login.username)
    except UnavailableError as error:
        log.warning("the home of %s could not be made: %s", login.username, error.detail)
    return member


def _check_name(username: str, login: Login | None) -> None:
    service = load().service
    reserved = _RESERVED | {kerberos.MACHINES, service.account, service.admin}
    if username in reserved or (login and login.is_admin):
        raise BadInputError({"username": ["is reserved; choose another name"]})
    if login or members.by_username(username):
        raise ConflictError(f"The username {username} is taken. Choose another one.")
