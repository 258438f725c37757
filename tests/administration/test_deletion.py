"""Deleting one's account: refused, asked for, taken back, and carried out by whoever goes on after a kill."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from account_people import PASSWORD, People, code_for
from ledger_world import T0, World
from mail_server import MailServer, mail_server
from name_node import NameNode, name_node

from market.administration import accounts, deletion
from market.administration.accounts import OpenJobsError
from market.jobs.life import kill
from market.kit import database, settings
from market.kit.clock import now_ms
from market.kit.errors import BadInputError, ConflictError, NotFoundError
from market.notifications import channels
from market.ops.run import secrets as generated
from market.people import (
    confirmation,
    files,
    homes,
    mailing,
    profile,
    program_tokens,
    retired_addresses,
    secrets,
    suspension,
)
from market.people.member import Member
from market.people.projects import changes as projects

pytestmark = pytest.mark.database
HERE = "10.0.0.1"
DAY_MS = 86_400_000


class KilledError(BaseException):
    """What a process is told that is killed at this place: nothing catches it."""


@dataclass
class Leavers(People):
    """The logins of a market, whose passwords and roles an erasure takes."""

    ended: list[int] = field(default_factory=list)

    def end_sessions(self, login_id: int) -> None:
        self.ended.append(login_id)

    def password_key(self, login_id: int) -> str:
        return "key"

    def erase(self, username: str) -> None:
        self.passwords.pop(username, None)
        erased = replace(self.logins[username], email="x@deleted.invalid", display_name="", roles=frozenset())
        self.logins[username] = erased


@dataclass
class Market:
    """A market that pays the opening grant for a confirmed address, with a home for everybody."""

    world: World
    people: Leavers
    mailbox: MailServer
    hdfs: NameNode
    killed: list[str]

    def member(self, name: str, email: str = "") -> Member:
        """Register somebody, and confirm the address."""
        member = self.people.register(name, email)
        confirmation.confirm(self.people, code_for(self.mailbox, member.email), HERE)
        self.mailbox.envelopes.clear()
        return member

    def ask(self, member: Member, password: str = PASSWORD, cancel_jobs: bool = False) -> dict[str, Any]:
        return deletion.ask(self.people, member, password, cancel_jobs)

    def pass_by(self, member: Member) -> None:
        """Let the days pass until a deletion is due."""
        self.world.sql("UPDATE member SET deletion_due_ms = 1 WHERE user_id = %s", member.user_id)

    def go_on(self) -> None:
        deletion.run_pass(self.people.erase)

    def state(self, member: Member, column: str) -> Any:
        return self.world.one(f"SELECT {column} FROM member WHERE user_id = %s", member.user_id)

    def audit(self, member: Member) -> list[str]:
        lines = self.world.sql(
            "SELECT detail FROM audit WHERE subject = %s ORDER BY audit_id", member.user_id
        )
        return [line.detail for line in lines]


@pytest.fixture
def market(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Market]:
    with mail_server() as mailbox, name_node() as (port, hdfs):
        own, state = tmp_path / "market.toml", tmp_path / "state"
        own.write_text(
            '[accounts]\nregistration = "confirmed"\nregistrations_per_minute = 1000\n'
            f'login_attempts_per_minute = 1000\n[mail]\nhost = "127.0.0.1"\nport = {mailbox.port}\n'
            'tls = "none"\nsender = "market@example.org"\n'
            '[notifications]\nwebhook_networks = "127.0.0.0/8"\n'
        )
        (state / "run").mkdir(parents=True)
        ports = {"namenode_http": port, "api": 1}
        (state / "run" / "ports.json").write_text(json.dumps(settings.load().preferred_ports | ports))
        monkeypatch.setenv("MARKET_CONFIG", str(own))
        monkeypatch.setenv("MARKET_STATE_DIR", str(state))
        generated.generate(settings.load().paths)
        tags: list[str] = []
        monkeypatch.setattr(kill, "applications", tags.append)
        yield Market(world, Leavers(), mailbox, hdfs, tags)


@pytest.fixture
def admin(market: Market) -> Member:
    return replace(market.member("root-of-all"), is_admin=True)


@pytest.fixture
def ada(market: Market) -> Member:
    return market.member("ada")


def left_by(member: Member) -> None:
    """Have somebody leave something everywhere."""
    files.put(member, "a/b.txt", iter([b"words"]), 5)
    homes.hdfs().mkdirs(f"/yarn-logs/{member.username}/bucket-logs-tfile")
    secrets.put(member, "KEY", "swordfish")
    program_tokens.create(Leavers(), member, "nightly", ["read"], 3600)
    channels.choose(member, ["grant"], [])
    channels.add_webhook(member, "http://127.0.0.1:9/", ["grant"])


def test_the_account_is_deactivated_at_once_and_its_address_is_told_once(market: Market, ada: Member) -> None:
    machine = market.world.machine(ada.user_id)
    with pytest.raises(BadInputError) as wrong:
        market.ask(ada, "wrong")
    assert set(wrong.value.errors) == {"password"}
    assert market.state(ada, "deletion_due_ms") is None
    asked = market.ask(ada)
    assert (asked["draining_machines"], asked["cancelled_jobs"]) == (1, 0)
    assert asked["deletion_time"] == market.state(ada, "deletion_due_ms")
    assert 7 * DAY_MS - 60_000 < asked["deletion_time"] - now_ms() <= 7 * DAY_MS
    state = market.world.one("SELECT state FROM machine WHERE machine_id = %s", machine)
    assert state == "draining"
    with pytest.raises(suspension.AccountSuspendedError, match="asked for its deletion, which begins on"):
        suspension.refuse(market.people.logins["ada"].login_id)
    market.ask(ada)  # another request of the same moment
    assert market.state(ada, "deletion_due_ms") == asked["deletion_time"]
    mailing.run()
    assert [(one.recipients, str(one.message["Subject"])) for one in market.mailbox.envelopes] == [
        (["ada@example.org"], "Your account will be deleted")
    ]
    market.go_on()
    assert market.state(ada, "erasing_ms") is None, "its time has not come"


def test_open_jobs_are_named_and_cancelled_only_if_that_is_said(market: Market, ada: Member) -> None:
    job = market.world.job(ada.user_id)
    with pytest.raises(OpenJobsError):
        market.ask(ada)
    assert market.state(ada, "suspended_ms") is None
    assert market.ask(ada, cancel_jobs=True)["cancelled_jobs"] == 1
    assert market.killed == [job]
    market.pass_by(ada)
    market.go_on()
    assert market.state(ada, "erasing_ms") is None, "it waits for its jobs"
    market.world.end_job(job, T0)
    market.go_on()
    assert market.state(ada, "erased_ms") is not None


def test_who_owns_a_project_with_others_in_it_hands_it_over_or_closes_it(market: Market, ada: Member) -> None:
    bob = market.member("bob")
    end = now_ms() + DAY_MS
    alone, shared = (market.world.project(ada.user_id, end=end) for _ in range(2))
    below = market.world.project(ada.user_id, parent=alone, end=end)
    name = market.world.one("SELECT name FROM project WHERE project_id = %s", shared)
    projects.set_member(ada, shared, "bob", {"role": "member"})
    with pytest.raises(ConflictError, match=f"{name}.* Hand it over .* or close it"):
        market.ask(ada)
    assert market.state(ada, "suspended_ms") is None
    projects.set_member(ada, shared, "bob", {"role": "owner"})
    projects.set_member(ada, below, "bob", {"role": "owner"})
    with pytest.raises(ConflictError, match="Hand it over"):
        market.ask(ada)  # bob's part of it would have nobody above
    market.world.sql("UPDATE project SET start_ms = 1, end_ms = 2 WHERE project_id IN (%s, %s)", alone, below)
    market.ask(ada)
    with pytest.raises(NotFoundError, match="being deleted"):
        projects.set_member(bob, shared, "ada", {"role": "owner"})
    market.pass_by(ada)
    market.go_on()
    roles = market.world.sql("SELECT project_id, role FROM project_member WHERE user_id = %s", ada.user_id)
    assert [tuple(row) for row in roles] == [(alone, "owner")], "of all others she is out"


def test_an_administrator_takes_the_deletion_back_until_it_begins(
    market: Market, ada: Member, admin: Member
) -> None:
    left_by(ada)
    market.ask(ada)
    market.pass_by(ada)
    accounts.reopen(admin, ada.user_id, "is back")
    assert "whose deletion is taken back: is back" in market.audit(ada)[-1]
    mailing.run()
    assert market.mailbox.envelopes == [], "of a deletion that is no more nobody is told"
    market.go_on()
    assert suspension.refuse(market.people.logins["ada"].login_id) == 1
    assert files.get(ada, "a/b.txt")
    market.ask(ada)
    market.pass_by(ada)
    market.go_on()
    with pytest.raises(ConflictError, match="nobody can reopen it"):
        accounts.reopen(admin, ada.user_id, "is back")
    assert market.state(ada, "erased_ms") is not None


Break = Callable[[Market, pytest.MonkeyPatch], None]


def _killed(*_: object) -> None:
    raise KilledError


def at_the_home(market: Market, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(homes, "remove", _killed)


def after_half_of_the_home(market: Market, patch: pytest.MonkeyPatch) -> None:
    def half(username: str) -> None:
        homes.hdfs().delete(homes.path(username), recursive=True)
        raise KilledError

    patch.setattr(homes, "remove", half)


def at_the_login(market: Market, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(market.people, "erase", _killed)


def after_the_login(market: Market, patch: pytest.MonkeyPatch) -> None:
    def erase(username: str) -> None:
        Leavers.erase(market.people, username)
        raise KilledError

    patch.setattr(market.people, "erase", erase)


def within_the_last_transaction(market: Market, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(channels, "delete_all", _killed)


def before_the_way_back_is_closed(market: Market, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(retired_addresses, "retire", _killed)


@pytest.mark.parametrize(
    "broken",
    [
        before_the_way_back_is_closed,
        at_the_home,
        after_half_of_the_home,
        at_the_login,
        after_the_login,
        within_the_last_transaction,
    ],
)
def test_whoever_is_killed_is_followed_by_one_who_goes_on(
    market: Market, ada: Member, admin: Member, broken: Break
) -> None:
    left_by(ada)
    market.ask(ada)
    market.pass_by(ada)
    with pytest.MonkeyPatch.context() as patch:
        broken(market, patch)
        with pytest.raises(KilledError):
            market.go_on()
    begun = market.state(ada, "erasing_ms")
    assert (begun is None) == (broken is before_the_way_back_is_closed)
    assert market.state(ada, "erased_ms") is None
    if begun is not None:
        with pytest.raises(ConflictError, match="nobody can reopen it"):
            accounts.reopen(admin, ada.user_id, "a part of it is gone")
    market.go_on()
    market.go_on()  # nothing is left to do
    assert not [path for path in market.hdfs.nodes if "ada" in path]
    for table in ("member_secret", "program_token", "channel", "account_mail", "confirmed_address"):
        assert market.world.one(f"SELECT count(*) FROM {table} WHERE user_id = %s", ada.user_id) == 0, table
    assert (market.state(ada, "username"), market.state(ada, "email")) == ("ada", "")
    login = market.people.logins["ada"]
    assert (login.email, login.display_name) == ("x@deleted.invalid", "")
    assert market.people.check("ada", PASSWORD) is None
    with pytest.raises(suspension.AccountSuspendedError):
        suspension.refuse(login.login_id)
    assert market.world.balances(ada.user_id).balance_ucr == 15_000_000, "the balance stays with the id"
    lines = market.audit(ada)
    assert [sum(word in line for line in lines) for word in ("asked for", "begins:", "is deleted:")] == [
        *(1, 1, 1)
    ]
    assert market.world.broken_invariants() == []


def test_neither_the_name_nor_a_second_opening_grant_is_given_again(market: Market, ada: Member) -> None:
    market.ask(ada)
    market.pass_by(ada)
    market.go_on()
    with pytest.raises(ConflictError, match="is taken"):
        market.people.register("ada", "other@example.org")
    market.people.logins["ada"] = replace(market.people.logins["ada"], username="gone")
    with pytest.raises(ConflictError, match="is taken"):
        market.people.register("ada", "other@example.org")  # also when its login was removed in Airflow
    again, new = market.member("ada2", "Ada@example.org"), market.member("bob")
    assert profile.profile(again)["credit"] == "0.000000"
    assert profile.profile(again)["email_confirmed"]
    assert profile.profile(new)["credit"] == "15.000000"
    digest = bytes(market.world.one("SELECT digest FROM retired_address"))
    assert b"ada" not in digest
    assert len(digest) == 32


def test_a_code_that_was_taken_before_brings_no_address_back(market: Market) -> None:
    """A confirmation that goes on after the deletion finds that the account is gone."""
    ada = market.people.register("ada")
    code = code_for(market.mailbox, ada.email)
    market.ask(ada)
    market.world.sql("UPDATE member SET deletion_due_ms = 1, erasing_ms = 2 WHERE user_id = %s", ada.user_id)
    with pytest.raises(BadInputError, match="deleted"):
        confirmation.confirm(market.people, code, HERE)
    assert market.world.one("SELECT count(*) FROM confirmed_address") == 0


def test_what_a_request_left_undone_when_it_was_killed_is_done(
    market: Market, ada: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, machine = market.world.job(ada.user_id), market.world.machine(ada.user_id)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(accounts, "_shut", _killed)
        with pytest.raises(KilledError):
            market.ask(ada, cancel_jobs=True)
    state = "SELECT state FROM machine WHERE machine_id = %s"
    assert (market.killed, market.world.one(state, machine)) == ([], "active")
    market.go_on()
    assert (market.killed, market.world.one(state, machine)) == ([job], "draining")
    assert "its account is deleted" in market.world.one("SELECT stop_reason FROM job WHERE job_id = %s", job)


def test_one_bad_account_stops_no_other(market: Market, ada: Member) -> None:
    bob = market.member("bob")
    for member in (ada, bob):
        market.ask(member)
        market.pass_by(member)

    def erase(username: str) -> None:
        if username == "ada":
            raise ConflictError("The login ada is not erased (500).")
        market.people.erase(username)

    deletion.run_pass(erase)
    assert market.state(ada, "erased_ms") is None
    assert market.state(bob, "erased_ms") is not None
    with database.transaction() as cursor:
        cursor.execute("SELECT subject FROM setback WHERE work = 'deleting accounts'")
        assert [row.subject for row in cursor.fetchall()] == [ada.user_id]


def test_homes_of_deleted_accounts_are_not_made_again(market: Market, ada: Member) -> None:
    market.member("bob")
    market.ask(ada)
    market.pass_by(ada)
    market.go_on()
    homes.renew()
    assert "/user/bob" in market.hdfs.nodes
    assert "/user/ada" not in market.hdfs.nodes
