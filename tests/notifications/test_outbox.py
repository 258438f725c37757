"""Events: written with what makes them true, published in the order of commits, none passed by."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import psycopg2
import pytest
from ledger_world import T0, World, now

from market.credits import grants
from market.jobs.life.status import stop_job
from market.kit import alerts, database, settings
from market.notifications import feed, outbox
from market.notifications.kinds import KINDS
from market.people.member import Member

pytestmark = pytest.mark.database


def a_member(world: World) -> Member:
    user_id = world.member()
    return Member(user_id, world.one("SELECT username FROM member WHERE user_id = %s", user_id), "a@b.org")


def raised(kind: str, detail: str) -> None:
    with database.transaction() as cursor:
        alerts.raise_alert(cursor, kind, "subject", detail)


Change = Callable[[World, str, str], object]
JOB: dict[str, Change] = {
    "job_started": lambda w, job, _: w.sql(
        "UPDATE job SET status = 'accepted' WHERE job_id = %s; UPDATE job SET status = 'running'"
        " WHERE job_id = %s", job, job
    ),
    "job_ended": lambda w, job, _: w.end_job(job, T0),
    "job_failed": lambda w, job, _: w.sql(
        "UPDATE job SET status = 'failed', ended_ms = 1, reason_code = 'user_error', reason = 'exit 1'"
        " WHERE job_id = %s", job
    ),
    "job_stopped": lambda w, job, _: stop_job(job, "credit_exhausted", "its hold was used up"),
    "job_hold": lambda w, job, _: w.sql("UPDATE job SET warned_ms = 1 WHERE job_id = %s", job),
    "job_extended": lambda w, job, _: w.sql(
        "SELECT extend_hold(%s, 6000000, %s)", job, f"auto:{job}:6000000"
    ),
    "grant": lambda w, job, user: grants.give(user, user, "2.5", "for you"),
}  # fmt: skip
MACHINE: dict[str, str] = {
    "machine_lost": "UPDATE machine SET state = 'lost', reason = 'silent' WHERE machine_id = %s",
    "machine_joined": "UPDATE machine SET state = 'joining' WHERE machine_id = %s;"
    " UPDATE machine SET state = 'active'",
    "machine_rejected": "UPDATE machine SET state = 'rejected' WHERE machine_id = %s",
    "machine_drained": "UPDATE machine SET state = 'draining' WHERE machine_id = %s;"
    " UPDATE machine SET state = 'left'",
    "machine_poor": "INSERT INTO verification (verification_id, machine_id, core_count, started_ms)"
    " VALUES (repeat('a', 32), %s, 1, 1); UPDATE verification SET outcome = 'poor', ended_ms = 2,"
    " detail = 'slow'",
}


@pytest.mark.parametrize("kind", JOB)
def test_what_happens_to_a_job_is_an_event_of_its_owner_s(world: World, kind: str) -> None:
    member = a_member(world)
    job = world.job(member.user_id)
    world.sql("DELETE FROM event")
    JOB[kind](world, job, member.user_id)
    outbox.run_pass()
    (event,) = feed.after(member, 0, 100)
    assert event.kind == kind
    assert event.job_id == (None if kind == "grant" else job)
    assert re.search(r"digits|2\.5 credits: for you", event.sentence)


@pytest.mark.parametrize("kind", MACHINE)
def test_what_happens_to_a_machine_is_an_event_of_its_owner_s(world: World, kind: str) -> None:
    member = a_member(world)
    machine = world.machine(member.user_id)
    world.sql("DELETE FROM event")
    world.sql(MACHINE[kind], machine)
    outbox.run_pass()
    (event,) = feed.after(member, 0, 100)
    assert (event.kind, event.machine_id) == (kind, machine)
    assert event.data["machine"] in event.sentence


def test_a_lease_that_ends_soon_is_told_once(world: World) -> None:
    member = a_member(world)
    machine = world.machine(member.user_id)
    world.sql("DELETE FROM event")
    for ends_ms, told in ((now() + 7_200_000, 0), (now() + 600_000, 1), (now() + 600_000, 1)):
        if told == 0 or world.one("SELECT count(*) FROM event") == 0:
            world.sql("UPDATE machine SET lease_end_ms = %s WHERE machine_id = %s", ends_ms, machine)
        outbox.run_pass()
        assert [event.kind for event in feed.after(member, 0, 100)] == ["lease_ending"] * told
    world.sql("UPDATE machine SET lease_end_ms = lease_end_ms + 1000")  # renewed, and ends soon again
    outbox.run_pass()
    assert len(feed.after(member, 0, 100)) == 2


def test_an_alert_is_told_once_and_to_administrators_alone(world: World) -> None:
    member = a_member(world)
    world.sql("DELETE FROM event")
    for _ in range(3):
        raised("ledger", "does not add up")
    outbox.run_pass()
    assert feed.after(member, 0, 100) == []
    (event,) = feed.after(replace(member, is_admin=True), 0, 100)
    assert event.sentence == "ledger of subject: does not add up"
    world.sql("UPDATE alert SET at_ms = at_ms - 3700000")
    raised("ledger", "again")
    outbox.run_pass()
    assert len(feed.after(replace(member, is_admin=True), 0, 100)) == 2


def test_nothing_of_a_change_that_is_rolled_back(world: World) -> None:
    member = a_member(world)
    job = world.job(member.user_id)
    world.sql("DELETE FROM event")
    with suppress(RuntimeError), database.transaction() as cursor:
        cursor.execute("UPDATE job SET warned_ms = 1 WHERE job_id = %s", [job])
        raise RuntimeError
    assert world.one("SELECT count(*) FROM event") == 0


def test_a_reader_passes_by_nothing_that_commits_late(world: World) -> None:
    member = a_member(world)
    world.sql("DELETE FROM event")
    early, late = (
        psycopg2.connect(world.server.url("market_app"), options="-c search_path=market") for _ in "12"
    )
    early.cursor().execute("SELECT event_write('grant', %s, NULL, NULL, '{\"amount\": 1}')", [member.user_id])
    late.cursor().execute("SELECT event_write('grant', %s, NULL, NULL, '{\"amount\": 2}')", [member.user_id])
    late.commit()
    outbox.run_pass()
    (first,) = feed.after(member, 0, 100)
    early.commit()
    outbox.run_pass()
    (second,) = feed.after(member, first.position, 100)
    assert [first.data["amount"], second.data["amount"]] == [2, 1]
    early.close(), late.close()


def test_readers_beside_publishers_see_everything_once_in_order(world: World) -> None:
    member = a_member(world)
    world.sql("DELETE FROM event")
    most, writers = 150, 4
    over = threading.Event()

    def write() -> None:
        for _ in range(most):
            with database.transaction() as cursor:
                cursor.execute("SELECT event_write('grant', %s, NULL, NULL, '{}')", [member.user_id])

    def publish() -> None:
        while not over.is_set():
            outbox.run_pass()

    threads = [threading.Thread(target=write) for _ in range(writers)]
    publishers = [threading.Thread(target=publish) for _ in range(2)]
    for thread in (*threads, *publishers):
        thread.start()
    seen: list[str] = []
    position = 0
    while len(seen) < most * writers:
        for event in feed.after(member, position, 50):
            assert event.position > position
            position = event.position
            seen.append(event.event_id)
        if not any(thread.is_alive() for thread in threads):
            outbox.run_pass()
    over.set()
    for thread in (*threads, *publishers):
        thread.join()
    assert len(set(seen)) == most * writers
    assert feed.after(member, position, 50) == []


def test_old_events_are_deleted_and_positions_go_on(world: World) -> None:
    member = a_member(world)
    outbox.run_pass()
    (event,) = feed.after(member, 0, 100)
    world.sql("UPDATE event SET at_ms = 1")
    outbox.prune()
    assert feed.after(member, 0, 100) == []
    world.grant(member.user_id, 1_000_000)
    outbox.run_pass()
    assert feed.after(member, event.position, 100)[0].position > event.position


def test_every_kind_that_the_database_writes_has_words() -> None:
    text = (settings.ROOT / "sql" / "functions" / "16_events.sql").read_text()
    written = set(
        re.findall(r"'((?:job|machine)_[a-z]+|lease_ending|grant|refund|account|budget|cap|alert)'", text)
    )
    assert written - {"job_name"} == set(KINDS)


def test_words_of_people_stay_on_one_line_and_mean_nothing(world: World) -> None:
    member = a_member(world)
    job = world.job(member.user_id)
    world.sql("UPDATE job SET job_name = %s", "{job_name.__class__}\r\nBcc: x\x1b[31m%s\u202e")
    world.sql("DELETE FROM event")
    world.end_job(job, T0)
    outbox.run_pass()
    (event,) = feed.after(member, 0, 100)
    assert event.sentence == "Your job {job_name.__class__} Bcc: x [31m%s  ended: succeeded."
