"""Registration: a login of Flask-AppBuilder, a member with an account and first credits, a home in HDFS."""

from __future__ import annotations

import logging
import re
from typing import Any

from market.airflow import fab
from market.kit.errors import BadInputError, ConflictError, UnavailableError
from market.kit.settings import load
from market.kit.wire import loaded
from market.people import homes, members, profile
from market.people.member import Member
from market.people.schemas import USERNAME, RegistrationSchema

log = logging.getLogger(__name__)

_SYSTEM = frozenset({"root", "hdfs", "yarn", "mapred", "spark", "hadoop"})


def register(username: str, password: str, email: str) -> dict[str, Any]:
    """Make a user; return him as `GET /users/me` shows him.

    Raises BadInputError for a name, password or address that breaks a rule, or a reserved name;
    ConflictError for one that is taken; UnavailableError if HDFS does not answer (nobody is made then).
    """
    asked = loaded(RegistrationSchema(), {"username": username, "password": password, "email": email})
    with fab.security_manager() as manager:
        _check_name(username, manager.find_user(username=username))
        if manager.find_user(email=email):
            raise ConflictError("This e-mail address has an account already. Log in with it.")
        homes.make(username)  # first, as it may fail: an empty home of a name that is free harms nobody
        role = manager.find_role(members.ROLE)
        if role is None:
            raise UnavailableError("The market is not set up yet: its roles are missing.")
        user = _add(manager, role, asked)
        member = members.enrol(user.id, username, email)
    return profile.profile(member)


def complete(user: Any) -> Member | None:
    """Give a login its market account if its role entitles it to one and it has none.

    This finishes a registration that was cut off, and enrols whom an administrator made in Airflow's pages.
    """
    entitled = {role.name for role in user.roles} & {members.ROLE, members.ADMIN}
    if not entitled:
        return None
    if not re.fullmatch(USERNAME, user.username):
        log.warning("%r gets no market account: HDFS and YARN would not take the name", user.username)
        return None
    member = members.enrol(user.id, user.username, user.email)
    try:
        homes.make(user.username)
    except UnavailableError as error:
        log.warning("the home of %s could not be made: %s", user.username, error.detail)
    return member


def _check_name(username: str, user: Any) -> None:
    service = load().service
    if username in _SYSTEM | {service.account, service.admin} or (user and members.is_admin(user)):
        raise BadInputError({"username": ["is reserved; choose another name"]})
    if user or members.by_username(username):
        raise ConflictError(f"The username {username} is taken. Choose another one.")


def _add(manager: Any, role: Any, asked: dict[str, Any]) -> Any:
    from airflow.providers.fab.auth_manager.security_manager.override import FabException

    name = asked["username"]
    try:
        return manager.add_user(name, name, "", asked["email"], role, asked["password"])
    except FabException:
        # Somebody else was faster with this name or address, or the database is away.
        if manager.find_user(username=name) or manager.find_user(email=asked["email"]):
            raise ConflictError("The username or the e-mail address was taken meanwhile.") from None
        raise UnavailableError("The account could not be stored. Try again in a minute.") from None
