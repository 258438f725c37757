"""What a member may hold: machines in number, and addresses of which nobody knows yet that they are his."""

from __future__ import annotations

from market.kit import clock, database
from market.kit.errors import OverLimitError
from market.kit.settings import load
from market.kit.vocabulary import LEFT
from market.machines import changes, queries
from market.machines.addresses import Place
from market.people.member import Member

_MOST_UNCONFIRMED = 8  # of one member: machines at addresses that are not his own, not yet seen there


def check(cursor: database.Cursor, member: Member, place: Place) -> None:
    """Make sure that a member may register one machine more at a place, until the transaction ends.

    Who registers a host from that host itself takes it from another member, who did so from afar and whose
    NodeManager nobody has seen there. Raises OverLimitError.
    """
    cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"lend {member.user_id}"])
    live, unconfirmed = queries.count_live(cursor, member.user_id)
    most = load().machines.live_per_user
    if live >= most:
        raise OverLimitError(f"You lend {live} machines and may lend {most}. Remove one first.")
    if place.own:
        _displace(cursor, member, place.address)
    elif unconfirmed >= _MOST_UNCONFIRMED:
        raise OverLimitError(
            f"{unconfirmed} machines that you registered from other hosts have not appeared yet. Start their "
            "agents, or register each machine from its own host.",
            retry_after_s=60,
        )


def _displace(cursor: database.Cursor, member: Member, address: str) -> None:
    machine = changes.lock_live(cursor, address)
    if machine is None or machine.confirmed or machine.user_id in (None, member.user_id):
        return
    reason = "its host was lent from that host itself"
    changes.update(cursor, machine, machine.state, state=LEFT, left_ms=clock.now_ms(), reason=reason)
