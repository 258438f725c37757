"""What somebody can read of the events: his own in their order, from a cursor on."""

from __future__ import annotations

from market.kit import database
from market.notifications.kinds import Event
from market.people.member import Member

EVENT = "event_id, position, at_ms, kind, job_id, machine_id, data"


def latest(member: Member, limit: int) -> list[Event]:
    """Return a member's newest events, at most so many, the newest first; administrators' with the alerts."""
    with database.transaction() as reading:
        reading.execute(
            f"SELECT {EVENT} FROM event WHERE {_whose(member)} AND position IS NOT NULL"  # noqa: S608
            " ORDER BY position DESC LIMIT %s",
            [member.user_id, limit],
        )
        return [Event(*row) for row in reading.fetchall()]


def after(member: Member, cursor: int, limit: int) -> list[Event]:
    """Return a member's events behind a position, at most so many, in order; administrators' with the alerts.

    The position of the last one is the next cursor. None is passed by: positions are given after the commit,
    by one at a time.
    """
    with database.transaction() as reading:
        reading.execute(
            f"SELECT {EVENT} FROM event WHERE {_whose(member)} AND position > %s"  # noqa: S608
            " ORDER BY position LIMIT %s",
            [member.user_id, cursor, limit],
        )
        return [Event(*row) for row in reading.fetchall()]


def _whose(member: Member) -> str:
    return "(user_id = %s OR user_id IS NULL)" if member.is_admin else "user_id = %s"
