"""Who chose it is told, by the way that he chose; failures are tried again later and later, and given up."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from ledger_world import T0, World
from mail_server import MailServer
from webhook_server import Receiver, receiver

from market.kit import alerts, database
from market.kit.errors import BadInputError, NotFoundError, OverLimitError
from market.notifications import channels, claims, delivering, outbox
from market.people.member import Member

pytestmark = pytest.mark.database
Configure = Callable[..., None]
LOOPBACK = "127.0.0.0/8"


def happens(
    member: Member, kind: str = "grant", data: str = '{"amount": "1", "reason": "well done"}'
) -> None:
    with database.transaction() as cursor:
        cursor.execute("SELECT event_write(%s, %s, NULL, NULL, %s)", [kind, member.user_id, data])


def told() -> None:
    outbox.run_pass()
    delivering.run_mails()
    delivering.run_webhooks()


def later(world: World) -> None:
    """Let the waits after failures be over."""
    world.sql("UPDATE channel SET next_ms = 0")


def test_a_mail_for_what_was_chosen_and_nothing_else(
    world: World, configure: Configure, mailbox: MailServer, member: Member
) -> None:
    configure(mailbox)
    channels.choose(member, ["grant"], [])
    happens(member)
    happens(member, "job_started", '{"job_name": "digits"}')
    told()
    told()
    (mail,) = mailbox.envelopes
    assert mail.recipients == [member.email]
    assert mail.message["Subject"] == "You were given 1 credits: well done"
    assert member.username in mail.text
    assert world.one("SELECT event_id FROM event WHERE kind = 'grant'") in mail.text


def test_nothing_is_mailed_to_an_address_that_nobody_confirmed(
    world: World, configure: Configure, mailbox: MailServer, member: Member
) -> None:
    configure(mailbox)
    chosen = channels.choose(member, ["grant"], ["refund"])
    assert (chosen.address_confirmed, chosen.notice) == (True, "")
    happens(member)
    happens(member, "refund")
    outbox.run_pass()
    world.sql("UPDATE delivery SET due_ms = 0")
    world.sql("UPDATE member SET email = 'another@example.org' WHERE user_id = %s", member.user_id)
    delivering.run_mails()  # what was meant for the address of before does not go to this one
    happens(member)
    told()
    assert mailbox.envelopes == []
    chosen = channels.choices(member)
    assert (chosen.address_confirmed, chosen.mail) == (False, ["grant"])
    assert "until you have confirmed" in chosen.notice
    world.sql(
        "UPDATE member SET email = %s WHERE user_id = %s", f"{member.username}@EXAMPLE.org", member.user_id
    )
    happens(member)
    told()
    assert len(mailbox.envelopes) == 3, "the three events of when it was confirmed"


def test_words_of_others_make_no_header(
    world: World, configure: Configure, mailbox: MailServer, member: Member
) -> None:
    configure(mailbox)
    channels.choose(member, ["job_ended"], [])
    job = world.job(member.user_id)
    world.sql("UPDATE job SET job_name = %s", "x\r\nBcc: eve@example.org\r\n\r\n\x1b]0;{reason}")
    world.end_job(job, T0)
    told()
    (mail,) = mailbox.envelopes
    assert (mail.recipients, mail.message["Bcc"]) == ([member.email], None)
    assert "\x1b" not in mail.text
    assert "{reason}" in mail.text


def test_a_digest_is_one_mail_at_its_hour(
    world: World, configure: Configure, mailbox: MailServer, member: Member
) -> None:
    configure(mailbox)
    channels.choose(member, [], ["grant", "refund"])
    for _ in range(3):
        happens(member)
    told()
    assert mailbox.envelopes == []
    world.sql("UPDATE delivery SET due_ms = 0")
    told()
    told()
    (mail,) = mailbox.envelopes
    assert mail.message["Subject"] == "3 events of your day"
    assert mail.text.count("You were given") == 3


@pytest.mark.parametrize(("now", "hour", "due"), [(0, 7, 7), (7, 7, 31), (8, 7, 31), (23, 0, 24)])
def test_the_next_digest(now: int, hour: int, due: int) -> None:
    assert outbox.next_digest_ms(now * 3_600_000, hour) == due * 3_600_000


def test_more_than_an_hour_s_mails_come_in_the_digest(
    world: World, configure: Configure, mailbox: MailServer, member: Member
) -> None:
    configure(mailbox, mails_per_hour=3)
    channels.choose(member, ["grant"], [])
    for burst in (2, 4, 1):
        for _ in range(burst):
            happens(member)
        told()
    assert len(mailbox.envelopes) == 3
    assert world.one("SELECT count(*) FROM delivery WHERE digest") == 4


def test_a_webhook_gets_what_was_chosen_signed(
    world: World, configure: Configure, hook: Receiver, member: Member
) -> None:
    configure(webhook_networks=LOOPBACK)
    made = channels.add_webhook(member, hook.url, ["grant"])
    assert channels.list_webhooks(member).rows[0].secret is None
    happens(member)
    happens(member, "refund")
    told()
    (message,) = hook.messages
    assert message.is_signed_with(made["secret"])
    assert message.headers["webhook-id"] == world.one("SELECT event_id FROM event WHERE kind = 'grant'")
    assert message.body["type"] == "grant"
    assert message.body["data"]["text"] == "You were given 1 credits: well done"
    assert channels.list_webhooks(member).rows[0].delivered_ms


def test_nobody_is_told_of_another_s(
    world: World, configure: Configure, hook: Receiver, member: Member
) -> None:
    configure(webhook_networks=LOOPBACK)
    other = Member(world.member(), "other", "")
    channels.add_webhook(member, hook.url, ["grant"])
    happens(other)
    told()
    assert [message.body["data"]["reason"] for message in hook.messages] == []


def test_a_failure_is_tried_again_with_one_id_and_given_up_at_last(
    world: World, configure: Configure, hook: Receiver, member: Member
) -> None:
    configure(webhook_networks=LOOPBACK)
    hook.status = 500
    channels.add_webhook(member, hook.url, ["grant"])
    happens(member)
    waits = []
    for _ in range(claims.MOST_TRIES + 2):
        told()
        told()  # too early for another try
        waits.append(world.one("SELECT (next_ms - now_ms()) / 1000 FROM channel WHERE way = 'webhook'"))
        later(world)
    assert len(hook.messages) == claims.MOST_TRIES
    assert len({message.headers["webhook-id"] for message in hook.messages}) == 1
    assert waits[: claims.MOST_TRIES - 1] == sorted(waits[: claims.MOST_TRIES - 1])
    assert waits[0] >= 4
    assert world.one("SELECT outcome FROM delivery") == "given_up"
    assert world.one("SELECT detail FROM alert WHERE kind = 'given_up'").endswith("answers 500")
    assert channels.list_webhooks(member).rows[0].failure.endswith("answers 500")


def test_it_works_again(world: World, configure: Configure, hook: Receiver, member: Member) -> None:
    configure(webhook_networks=LOOPBACK)
    hook.status = 500
    channels.add_webhook(member, hook.url, ["grant"])
    for _ in range(3):
        happens(member)
    told()
    assert len(hook.messages) == 1  # one that fails is not asked for all that waits
    hook.status = 204
    later(world)
    told()
    assert len({message.headers["webhook-id"] for message in hook.messages}) == 3
    assert channels.list_webhooks(member).rows[0].failures == 0


def test_an_address_that_is_not_allowed_any_more_is_given_up_at_once(
    world: World, configure: Configure, hook: Receiver, member: Member
) -> None:
    configure(webhook_networks=LOOPBACK)
    channels.add_webhook(member, hook.url, ["grant"])
    configure()
    happens(member)
    told()
    assert hook.messages == []
    assert world.one("SELECT outcome FROM delivery") == "given_up"


def test_a_slow_webhook_keeps_one_loop_and_no_other_person(
    world: World, configure: Configure, hook: Receiver, member: Member
) -> None:
    configure(webhook_networks=LOOPBACK)
    hook.waits_s = 4
    other = Member(world.member(), "other", "")
    channels.add_webhook(member, hook.url, ["grant"])
    channels.add_webhook(member, hook.url, ["grant"])
    with receiver() as quick:
        channels.add_webhook(other, quick.url, ["grant"])
        happens(member)
        outbox.run_pass()
        slow = threading.Thread(target=delivering.run_webhooks)
        slow.start()
        hook.wait_for(1)
        happens(other)
        outbox.run_pass()
        delivering.run_webhooks()
        slow.join()
    first, second = hook.messages
    assert quick.messages[0].at < second.at
    assert second.at - first.at > 3.5  # of his two, one at a time


def test_refused_mail_is_not_sent_again(
    world: World, configure: Configure, mailbox: MailServer, member: Member
) -> None:
    configure(mailbox)
    mailbox.replies = {"RCPT": "550 unknown"}
    channels.choose(member, ["grant"], [])
    happens(member)
    told()
    assert world.one("SELECT outcome FROM delivery") == "given_up"
    assert "550" in channels.choices(member).failure or "unknown" in channels.choices(member).failure


def test_alerts_go_to_the_address_of_the_settings(
    world: World, configure: Configure, mailbox: MailServer, member: Member
) -> None:
    configure(mailbox, alerts_to="ops@example.org")
    outbox.run_pass()
    with database.transaction() as cursor:
        alerts.raise_alert(cursor, alerts.LEDGER, "sum", "is off")
    told()
    (mail,) = mailbox.envelopes
    assert mail.recipients == ["ops@example.org"]
    assert mail.message["Subject"] == "ledger of sum: is off"


def test_without_a_mail_server_no_mail_waits(world: World, configure: Configure, member: Member) -> None:
    configure()
    channels.choose(member, ["grant"], [])
    happens(member)
    told()
    assert world.one("SELECT count(*) FROM delivery") == 0
    assert not channels.choices(member).mail_enabled


def test_what_cannot_be_chosen(world: World, configure: Configure, member: Member, hook: Receiver) -> None:
    configure(webhook_networks=LOOPBACK, webhooks_per_user=2)
    with pytest.raises(BadInputError):
        channels.choose(member, ["grant"], ["grant"])
    with pytest.raises(BadInputError, match="public"):
        channels.add_webhook(member, "https://10.0.0.1/", ["grant"])
    first = channels.add_webhook(member, hook.url, ["grant"])
    channels.add_webhook(member, hook.url, ["grant"])
    with pytest.raises(OverLimitError):
        channels.add_webhook(member, hook.url, ["grant"])
    other = Member(world.member(), "other", "")
    with pytest.raises(NotFoundError):
        channels.delete_webhook(other, first["webhook_id"])
    with pytest.raises(NotFoundError):
        channels.try_webhook(other, first["webhook_id"])
    channels.delete_webhook(member, first["webhook_id"])


def test_a_test_says_what_happens(world: World, configure: Configure, hook: Receiver, member: Member) -> None:
    configure(webhook_networks=LOOPBACK)
    made = channels.add_webhook(member, hook.url, [])
    assert channels.try_webhook(member, made["webhook_id"])["delivered"]
    assert hook.messages[0].is_signed_with(made["secret"])
    hook.status = 503
    answer = channels.try_webhook(member, made["webhook_id"])
    assert (answer["delivered"], answer["detail"]) == (False, "127.0.0.1 answers 503")
    for _ in range(4):
        channels.try_webhook(member, made["webhook_id"])
    with pytest.raises(OverLimitError):
        channels.try_webhook(member, made["webhook_id"])
