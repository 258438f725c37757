"""The four ways to become a member: whoever comes, with a confirmed address, invited, or approved."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from account_people import People, code_for
from ledger_world import World
from mail_server import MailServer

from market.kit import database
from market.kit.errors import BadInputError, ConflictError, MarketError, NotFoundError, RoleMissingError
from market.kit.paging import Page
from market.people import approvals, confirmation, invitations, members, profile
from market.people.member import Member

pytestmark = pytest.mark.database
Configure = Callable[..., None]
ADMIN = Member("f" * 32, "admin", "admin@localhost", is_admin=True)


def credit(member: Member) -> str:
    return str(profile.profile(member)["credit"])


def test_open_to_all_the_credits_come_at_once_and_once(people: People, configure: Configure) -> None:
    configure("open")
    ada = people.register("ada")
    assert (credit(ada), profile.profile(ada)["credit_waits_for"]) == ("15.000000", None)
    members.enrol(people.logins["ada"])
    assert credit(ada) == "15.000000"


def test_the_credits_wait_until_the_address_is_confirmed(
    people: People, configure: Configure, mailbox: MailServer, world: World
) -> None:
    configure("confirmed", mailbox)
    ada = people.register("ada", "Ada@Example.org")
    shown = profile.profile(ada)
    assert (shown["credit"], shown["credit_waits_for"]) == ("0.000000", "confirmation")
    members.enrol(people.logins["ada"])  # as each login does
    assert credit(ada) == "0.000000"
    code = code_for(mailbox, "ada@example.org")
    assert confirmation.confirm(people, code, "10.0.0.1") == "ada@example.org"
    shown = profile.profile(ada)
    assert (shown["credit"], shown["credit_waits_for"]) == ("15.000000", None)
    assert shown["email_confirmed"]
    with pytest.raises(BadInputError, match="code"):
        confirmation.confirm(people, code, "10.0.0.1")
    assert world.one("SELECT count(*) FROM journal WHERE key LIKE 'signup:%%'") == 1


def test_of_two_who_use_a_code_at_once_one_wins(
    people: People, configure: Configure, mailbox: MailServer
) -> None:
    configure("confirmed", mailbox)
    ada = people.register("ada")
    code, together = code_for(mailbox, ada.email), Barrier(6)

    def attempt(_: int) -> bool:
        together.wait(30)
        try:
            confirmation.confirm(people, code, "10.0.0.1")
        except BadInputError:
            return False
        return True

    with ThreadPoolExecutor(6) as threads:
        assert sum(threads.map(attempt, range(6))) == 1
    assert credit(ada) == "15.000000"


def test_an_address_is_confirmed_for_no_second_account(
    people: People, configure: Configure, mailbox: MailServer, world: World
) -> None:
    configure("confirmed", mailbox)
    ada = people.register("ada")
    confirmation.confirm(people, code_for(mailbox, ada.email), "10.0.0.1")
    confirmation.change(people, ada, "a long password", "other@example.org")
    confirmation.confirm(people, code_for(mailbox, "other@example.org"), "10.0.0.1")
    bob = people.register("bob", "ADA@example.ORG")  # whom Airflow has no objection to
    with pytest.raises(ConflictError, match="another account"):
        confirmation.confirm(people, code_for(mailbox, "ada@example.org"), "10.0.0.1")
    assert (credit(bob), profile.profile(bob)["email_confirmed"]) == ("0.000000", False)


def test_a_mail_server_that_is_away_is_asked_again(
    people: People, configure: Configure, mailbox: MailServer, world: World
) -> None:
    configure("confirmed", mailbox)
    mailbox.replies["CONNECT"] = "421 not now"
    ada = people.register("ada")
    with pytest.raises(AssertionError, match="no mail"):
        code_for(mailbox, ada.email)
    assert "refuses" in profile.profile(ada)["email_failure"] or profile.profile(ada)["email_failure"]
    del mailbox.replies["CONNECT"]
    world.sql("UPDATE account_mail SET next_ms = 0")
    confirmation.confirm(people, code_for(mailbox, ada.email), "10.0.0.1")
    assert credit(ada) == "15.000000"


def test_no_code_lies_in_the_database(
    people: People, configure: Configure, mailbox: MailServer, world: World
) -> None:
    configure("confirmed", mailbox)
    ada = people.register("ada")
    code = code_for(mailbox, ada.email)
    assert len(code) >= 43, "256 bits"
    assert world.sql("SELECT 1 FROM account_mail a WHERE a::text LIKE %s", f"%{code}%") == []


def test_a_code_expires(people: People, configure: Configure, mailbox: MailServer, world: World) -> None:
    configure("confirmed", mailbox)
    ada = people.register("ada")
    code = code_for(mailbox, ada.email)
    world.sql("UPDATE account_mail SET created_ms = 0, expires_ms = 1")
    with pytest.raises(BadInputError, match="code"):
        confirmation.confirm(people, code, "10.0.0.1")


def test_invited_people_register_and_no_others(people: People, configure: Configure, world: World) -> None:
    configure("invited")
    made = invitations.create(ADMIN, "the class of 2027", uses=2, lifetime_s=3600)
    for wrong in ("", "dmi_guess"):
        with pytest.raises(BadInputError, match="invitation"):
            people.register("eve", invitation=wrong)
    assert credit(people.register("ada", invitation=made["code"])) == "15.000000"
    people.register("bob", invitation=f" {made['code']}\n")
    with pytest.raises(BadInputError, match="used up"):
        people.register("eve", invitation=made["code"])
    (listed,) = invitations.list_invitations(Page()).rows
    assert (listed.used, listed.uses, listed.note) == (2, 2, "the class of 2027")
    assert world.sql("SELECT 1 FROM invitation i WHERE i::text LIKE %s", f"%{made['code']}%") == []


def test_an_invitation_that_led_to_no_account_is_good_still(people: People, configure: Configure) -> None:
    configure("invited")
    made = invitations.create(ADMIN, "one", uses=1, lifetime_s=3600)
    people.logins["taken"] = people.add("taken", "taken@example.org", "x")
    with pytest.raises(ConflictError):
        people.register("taken", invitation=made["code"])

    def faster(username: str, email: str, password: str) -> None:
        raise ConflictError("taken meanwhile")

    add, people.add = people.add, faster  # type: ignore[method-assign,assignment]
    with pytest.raises(ConflictError):
        people.register("ada", invitation=made["code"])
    people.add = add  # type: ignore[method-assign]
    people.register("ada", invitation=made["code"])


@pytest.mark.parametrize("ends", ["expired", "revoked"])
def test_an_invitation_ends(people: People, configure: Configure, world: World, ends: str) -> None:
    configure("invited")
    made = invitations.create(ADMIN, "one", uses=9, lifetime_s=3600)
    if ends == "expired":
        world.sql("UPDATE invitation SET created_ms = 0, expires_ms = 1")
    else:
        invitations.revoke(ADMIN, made["invitation_id"])
        with pytest.raises(ConflictError):
            invitations.revoke(ADMIN, made["invitation_id"])
    with pytest.raises(BadInputError, match="invitation"):
        people.register("ada", invitation=made["code"])
    with pytest.raises(NotFoundError):
        invitations.revoke(ADMIN, "0" * 32)


def test_of_many_at_once_no_more_come_than_are_invited(people: People, configure: Configure) -> None:
    configure("invited")
    made = invitations.create(ADMIN, "two", uses=2, lifetime_s=3600)
    together = Barrier(6)

    def attempt(number: int) -> bool:
        together.wait(30)
        try:
            invitations.use(made["code"], f"person{number}")
        except MarketError:
            return False
        return True

    with ThreadPoolExecutor(6) as threads:
        assert sum(threads.map(attempt, range(6))) == 2


def may_submit(member: Member) -> None:
    with database.transaction() as cursor:
        approvals.check(cursor, member.user_id)


def test_credits_and_jobs_wait_for_an_administrator_s_word(
    people: People, configure: Configure, world: World
) -> None:
    configure("approved")
    ada, bob = people.register("ada"), people.register("bob")
    assert profile.profile(ada)["credit_waits_for"] == "approval"
    members.enrol(people.logins["ada"])
    assert credit(ada) == "0.000000"
    with pytest.raises(RoleMissingError, match="waits"):
        may_submit(ada)
    assert approvals.list_approvals(Page(), "waiting").total == 2
    approvals.approve(ADMIN, ada.user_id)
    assert credit(ada) == "15.000000"
    may_submit(ada)
    with pytest.raises(ConflictError):
        approvals.approve(ADMIN, ada.user_id)
    with pytest.raises(ConflictError):
        approvals.refuse(ADMIN, ada.user_id, "too late")
    approvals.refuse(ADMIN, bob.user_id, "not of this university")
    shown = profile.profile(bob)
    assert (shown["approval"], shown["approval_reason"]) == ("refused", "not of this university")
    assert shown["credit"] == "0.000000"
    with pytest.raises(RoleMissingError, match="not of this university"):
        may_submit(bob)
    configure("open")  # what was said of an account stays
    members.enrol(people.logins["bob"])
    assert credit(bob) == "0.000000"
    approvals.approve(ADMIN, bob.user_id)
    assert credit(bob) == "15.000000"
    assert world.one("SELECT count(*) FROM event WHERE kind = 'account'") == 3
    with pytest.raises(NotFoundError):
        approvals.approve(ADMIN, "0" * 32)


def test_an_administrator_waits_for_nobody(people: People, configure: Configure) -> None:
    configure("approved")
    root = members.enrol(people.add("root-of-all", "root@localhost", "x"))
    may_submit(root)
    assert credit(root) == "15.000000"
