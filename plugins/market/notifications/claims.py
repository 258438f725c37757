"""Claims on deliveries: each is claimed, sent, and its end written down.

Whoever has a claim may be killed at any moment. It is a lease by the database's clock: what was not ended by
then is claimed again, so each event is delivered at least once, always with its one id. A channel that
fails is left for longer and longer, with all that waits for it; after some tries or days a delivery is given
up, and an alert says so.
"""

from __future__ import annotations

from dataclasses import dataclass

from market.kit import alerts, database
from market.kit.database import Cursor
from market.kit.errors import MarketError
from market.kit.settings import load
from market.kit.text import storable
from market.kit.vocabulary import DELIVERED, GIVEN_UP, MAIL, WEBHOOK
from market.notifications.kinds import Event

MOST_TRIES = 9
_WAITS_S = (5, 15, 60, 300, 900, 3600, 7200, 14_400)  # after so many failures one after the other
_LEASE_MS = 120_000  # longer than any mail or webhook takes
_GIVEN_UP_AFTER_MS = 3 * 86_400_000
_DIGEST = 200  # events of one digest
_MAX_FAILURE = 300

# The oldest that is due, of a channel whose owner nobody is at: a person whose webhooks are slow keeps one of
# those who deliver, not all.
_CLAIM = """
    WITH due AS (
        SELECT c.channel_id, d.digest FROM channel c
        JOIN LATERAL (SELECT due_ms, digest FROM delivery d
                      WHERE d.channel_id = c.channel_id AND ended_ms IS NULL AND due_ms <= now_ms()
                      ORDER BY due_ms LIMIT 1) d ON true
        WHERE c.way = %(way)s AND c.next_ms <= now_ms()
          AND (c.way <> 'mail' OR c.user_id IS NULL
               OR EXISTS (SELECT FROM confirmed_mail m WHERE m.user_id = c.user_id))
          AND NOT EXISTS (SELECT FROM delivery o JOIN channel oc USING (channel_id)
                          WHERE oc.user_id IS NOT DISTINCT FROM c.user_id AND oc.way = c.way
                            AND o.ended_ms IS NULL AND o.lease_ms > now_ms())
        ORDER BY d.due_ms LIMIT 1 FOR UPDATE OF c SKIP LOCKED
    ), chosen AS (
        SELECT d.event_id, d.channel_id FROM due JOIN delivery d USING (channel_id, digest)
        WHERE d.ended_ms IS NULL AND d.due_ms <= now_ms() AND d.lease_ms <= now_ms()
        ORDER BY d.due_ms, d.event_id LIMIT (SELECT CASE WHEN digest THEN %(digest)s ELSE 1 END FROM due)
        FOR UPDATE OF d SKIP LOCKED
    ), claimed AS (
        UPDATE delivery d SET lease_ms = now_ms() + %(lease)s, tries = d.tries + 1 FROM chosen n
        WHERE d.event_id = n.event_id AND d.channel_id = n.channel_id
        RETURNING d.event_id, d.channel_id, d.digest, d.tries, d.created_ms
    )
    SELECT q.channel_id, q.digest, q.tries, q.created_ms, c.url, c.user_id, m.email, m.username,
           e.event_id, e.position, e.at_ms, e.kind, e.job_id, e.machine_id, e.data
    FROM claimed q JOIN event e USING (event_id) JOIN channel c USING (channel_id)
    LEFT JOIN member m ON m.user_id = c.user_id
    ORDER BY e.position
"""


@dataclass(frozen=True)
class Claim:
    """Some events for one channel: one, or those of a digest."""

    channel_id: str
    digest: bool
    tries: int
    created_ms: int
    url: str
    address: str
    username: str
    events: list[Event]


@database.again
def claim(way: str) -> Claim | None:
    """Claim what is due for a channel of this kind; None if there is nothing."""
    with database.transaction() as cursor:
        cursor.execute(_CLAIM, {"way": way, "digest": _DIGEST, "lease": _LEASE_MS})
        rows = cursor.fetchall()
    if not rows:
        return None
    first = rows[0]
    address = first.email if first.user_id is not None else load().notifications.alerts_to
    return Claim(
        *(first.channel_id, first.digest, max(row.tries for row in rows), first.created_ms, first.url),
        *(address, first.username or "administrator", [Event(*row[8:]) for row in rows]),
    )


@database.again
def delivered(done: Claim) -> None:
    """Write down that a claim was delivered."""
    with database.transaction() as cursor:
        _end(cursor, done, DELIVERED)
        cursor.execute(
            "UPDATE channel SET failures = 0, next_ms = 0, failure = '', delivered_ms = now_ms()"
            " WHERE channel_id = %s",
            [done.channel_id],
        )


@database.again
def failed(tried: Claim, error: Exception, for_good: bool = False) -> None:
    """Write down that a claim failed: its channel is left for a while; after some tries it is given up."""
    words = error.detail if isinstance(error, MarketError) else f"{type(error).__name__}: {error}"
    with database.transaction() as cursor:
        cursor.execute(
            "UPDATE channel SET failures = failures + 1, failure = %s,"
            " next_ms = now_ms() + 1000 * (%s::bigint[])[least(failures + 1, %s)]"
            " WHERE channel_id = %s RETURNING failures, now_ms() AS now",
            [storable(words, _MAX_FAILURE), list(_WAITS_S), len(_WAITS_S), tried.channel_id],
        )
        row = cursor.fetchone()
        if row is None:  # deleted meanwhile, and the deliveries with it
            return
        if for_good or tried.tries >= MOST_TRIES or row.now - tried.created_ms > _GIVEN_UP_AFTER_MS:
            _end(cursor, tried, GIVEN_UP)
            way = WEBHOOK if tried.url else MAIL
            detail = f"A delivery to {tried.username} is given up after {tried.tries} tries: {words}"
            alerts.raise_alert(cursor, alerts.GIVEN_UP, f"telling by {way}", detail)
        else:
            cursor.execute(
                "UPDATE delivery SET lease_ms = 0 WHERE channel_id = %s AND event_id = ANY (%s::text[])",
                [tried.channel_id, [event.event_id for event in tried.events]],
            )


def _end(cursor: Cursor, claim: Claim, outcome: str) -> None:
    cursor.execute(
        "UPDATE delivery SET ended_ms = now_ms(), outcome = %s"
        " WHERE channel_id = %s AND event_id = ANY (%s::text[]) AND ended_ms IS NULL",
        [outcome, claim.channel_id, [event.event_id for event in claim.events]],
    )
