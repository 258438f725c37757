"""A member's address and password: confirmed, changed, and set anew by what is mailed."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from account_people import PASSWORD, People, code_for
from ledger_world import World
from mail_server import MailServer

from market.kit.errors import BadInputError, ConflictError, OverLimitError
from market.people import confirmation, mailing, profile, reset
from market.people.member import Member

pytestmark = pytest.mark.database
Configure = Callable[..., None]
HERE = "10.0.0.1"


@pytest.fixture
def ada(people: People, configure: Configure, mailbox: MailServer) -> Member:
    """Somebody with a confirmed address, in an open market that sends mail; the mailbox is empty."""
    configure("open", mailbox)
    member = people.register("ada")
    confirmation.ask(member)
    confirmation.confirm(people, code_for(mailbox, member.email), HERE)
    mailbox.envelopes.clear()
    return member


def test_in_an_open_market_too_an_address_may_be_confirmed(ada: Member) -> None:
    shown = profile.profile(ada)
    assert (shown["email_confirmed"], shown["credit"]) == (True, "15.000000")
    with pytest.raises(ConflictError, match="confirmed already"):
        confirmation.ask(ada)


def test_without_mail_there_is_nothing_to_confirm_by(people: People, configure: Configure) -> None:
    configure("open")
    bob = people.register("bob")
    with pytest.raises(ConflictError, match="sends no mail"):
        confirmation.ask(bob)
    with pytest.raises(ConflictError, match="sends no mail"):
        reset.ask("bob", HERE)
    assert not confirmation.change(people, bob, PASSWORD, "new@example.org"), "it waits for nothing"
    assert people.member("bob").email == "new@example.org"


def test_one_address_gets_a_few_mails_an_hour(
    people: People, ada: Member, configure: Configure, mailbox: MailServer
) -> None:
    bob = people.register("bob")
    for _ in range(5):
        confirmation.ask(bob)
    with pytest.raises(OverLimitError, match="an hour"):
        confirmation.ask(bob)
    mailing.run()
    assert len(mailbox.envelopes) == 1, "the newest code alone is good, so the others were not sent"


def test_a_new_address_counts_when_it_is_confirmed_and_the_old_one_is_told(
    people: People, ada: Member, mailbox: MailServer
) -> None:
    assert confirmation.change(people, ada, PASSWORD, "New@Example.org")
    shown = profile.profile(people.member("ada"))
    assert (shown["email"], shown["new_email"]) == ("ada@example.org", "new@example.org")
    code = code_for(mailbox, "new@example.org")
    assert {one.recipients[0]: str(one.message["Subject"]) for one in mailbox.envelopes} == {
        "new@example.org": "Confirm your address",
        "ada@example.org": "Another address for your account",
    }
    confirmation.confirm(people, code, HERE)
    shown = profile.profile(people.member("ada"))
    assert (shown["email"], shown["new_email"]) == ("new@example.org", None)
    assert shown["email_confirmed"]
    assert people.logins["ada"].email == "new@example.org"


def test_a_change_needs_the_password_and_a_free_address(people: People, ada: Member) -> None:
    people.register("bob")
    with pytest.raises(BadInputError, match="password"):
        confirmation.change(people, ada, "not the password", "new@example.org")
    with pytest.raises(ConflictError, match="has an account already"):
        confirmation.change(people, ada, PASSWORD, "Bob@example.org")
    with pytest.raises(BadInputError, match="email"):
        confirmation.change(people, ada, PASSWORD, "ADA@example.org")
    assert profile.profile(ada)["new_email"] is None


def test_a_change_of_the_password_ends_a_change_of_the_address(
    people: People, ada: Member, mailbox: MailServer
) -> None:
    confirmation.change(people, ada, PASSWORD, "thief@example.org")
    code = code_for(mailbox, "thief@example.org")
    people.change_password(people.logins["ada"], "another password")
    with pytest.raises(BadInputError, match="code"):
        confirmation.confirm(people, code, HERE)


@pytest.mark.parametrize("named", ["ada", "ADA@Example.org", " ada "])
def test_a_forgotten_password_is_set_anew(
    people: People, ada: Member, mailbox: MailServer, named: str
) -> None:
    reset.ask(named, HERE)
    code = code_for(mailbox, ada.email)
    with pytest.raises(BadInputError, match="new_password"):
        reset.set_password(people, code, "password", HERE)
    reset.set_password(people, code, "quite another one", HERE)
    assert people.passwords["ada"] == "quite another one"
    with pytest.raises(BadInputError, match="code"):
        reset.set_password(people, code, "and once more", HERE)


def test_a_new_password_ends_the_other_codes(people: People, ada: Member, mailbox: MailServer) -> None:
    reset.ask("ada", HERE)
    first = code_for(mailbox, ada.email)
    reset.ask("ada", HERE)
    second = code_for(mailbox, ada.email)
    reset.set_password(people, first, "quite another one", HERE)
    with pytest.raises(BadInputError, match="code"):
        reset.set_password(people, second, "and once more", HERE)


def test_a_code_for_one_thing_is_none_for_another(people: People, ada: Member, mailbox: MailServer) -> None:
    reset.ask("ada", HERE)
    code = code_for(mailbox, ada.email)
    with pytest.raises(BadInputError, match="code"):
        confirmation.confirm(people, code, HERE)
    reset.set_password(people, code, "quite another one", HERE)


def test_of_two_who_set_a_password_by_one_code_one_wins(
    people: People, ada: Member, mailbox: MailServer
) -> None:
    reset.ask("ada", HERE)
    code, together = code_for(mailbox, ada.email), Barrier(6)

    def attempt(number: int) -> bool:
        together.wait(30)
        try:
            reset.set_password(people, code, f"password no. {number}", HERE)
        except BadInputError:
            return False
        return True

    with ThreadPoolExecutor(6) as threads:
        assert sum(threads.map(attempt, range(6))) == 1


def test_it_lasts_half_an_hour(people: People, ada: Member, mailbox: MailServer, world: World) -> None:
    reset.ask("ada", HERE)
    code_for(mailbox, ada.email)
    kept = world.one(
        "SELECT expires_ms - now_ms() FROM account_mail WHERE kind = 'reset' AND hash IS NOT NULL"
    )
    assert 28 * 60_000 < kept <= 30 * 60_000


def test_nobody_learns_whether_there_is_an_account(
    people: People, ada: Member, mailbox: MailServer, world: World
) -> None:
    people.register("bob")  # whose address is not confirmed
    for named in ("ada", "bob", "nobody", "nobody@example.org", "bob@example.org"):
        reset.ask(named, HERE)
    # What is asked for is written down, and nothing looked up: the same work for each.
    assert world.one("SELECT count(*) FROM account_mail WHERE named IS NOT NULL AND user_id IS NULL") == 5
    mailing.run()
    assert [one.recipients for one in mailbox.envelopes] == [[ada.email]]
    assert world.one("SELECT count(*) FROM account_mail WHERE named IS NOT NULL") == 0


def test_requests_are_limited_by_account_and_by_address(
    people: People, configure: Configure, mailbox: MailServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    own = tmp_path / "limits.toml"
    own.write_text(
        f'[mail]\nhost = "127.0.0.1"\nport = {mailbox.port}\ntls = "none"\nsender = "market@example.org"\n'
        "[accounts]\nlogin_attempts_per_minute = 3\n"
    )
    monkeypatch.setenv("MARKET_CONFIG", str(own))
    for number in range(3):
        reset.ask("ada", f"10.0.1.{number}")
    with pytest.raises(OverLimitError):
        reset.ask("Ada ", "10.0.1.9")
    for number in range(3):
        reset.ask(f"person{number}", "10.0.2.1")
    with pytest.raises(OverLimitError):
        reset.ask("person9", "10.0.2.1")


def test_a_name_to_be_shown_by(people: People, ada: Member) -> None:
    assert profile.profile(ada)["display_name"] == "ada"
    assert profile.rename(people, ada, "Ada Lovelace")["display_name"] == "Ada Lovelace"
    assert profile.profile(people.member("ada"))["display_name"] == "Ada Lovelace"
