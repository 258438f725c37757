"""The outbox: committed events get their place in the order, and a delivery for each channel."""

from __future__ import annotations

from market.kit import database
from market.kit.clock import now_ms
from market.kit.settings import Notifications, load
from market.notifications.kinds import ALERT

_BATCH = 500
_LOCK = "publish events"  # places are given by one at a time, so that they appear in their order
_OPERATOR = "0" * 32  # the channel of [notifications] alerts_to
_HOUR_MS, _DAY_MS = 3_600_000, 86_400_000

# At once, unless the channel had its mails of this hour already: then with the digest of the day.
_PUBLISH = """
    WITH chosen AS (
        SELECT event_id FROM event WHERE position IS NULL ORDER BY seq LIMIT %(batch)s
    ), placed AS (
        SELECT event_id, nextval('event_position') AS position FROM chosen
    ), published AS (
        UPDATE event e SET position = p.position FROM placed p WHERE e.event_id = p.event_id
        RETURNING e.event_id, e.kind, e.user_id, e.position
    ), wanted AS (
        SELECT p.event_id, c.channel_id, NOT p.kind = ANY (c.kinds)
               OR c.way = 'mail' AND row_number() OVER (PARTITION BY c.channel_id, p.kind = ANY (c.kinds)
                                                        ORDER BY p.position)
                   > %(mails)s - (SELECT count(*) FROM delivery d WHERE d.channel_id = c.channel_id
                                  AND NOT d.digest AND d.created_ms > %(now)s - %(hour)s) AS digest
        FROM published p
        JOIN channel c ON c.user_id IS NOT DISTINCT FROM p.user_id
                      AND (p.kind = ANY (c.kinds) OR p.kind = ANY (c.digest_kinds))
        WHERE c.way <> 'mail'
           OR %(mail)s AND (c.user_id IS NULL
                            OR EXISTS (SELECT FROM confirmed_mail m WHERE m.user_id = c.user_id))
    ), added AS (
        INSERT INTO delivery (event_id, channel_id, digest, created_ms, due_ms)
        SELECT event_id, channel_id, digest, %(now)s, CASE WHEN digest THEN %(next_digest)s ELSE %(now)s END
        FROM wanted
    )
    SELECT count(*) AS n FROM published
"""


def run_pass() -> None:
    """Publish all that was committed."""
    settings = load()
    chosen, mail = settings.notifications, settings.mail.enabled
    with database.transaction() as cursor:
        cursor.execute("SELECT tell_of_leases(%s)", [chosen.lease_notice_s * 1000])
        _address_alerts(cursor, chosen)
    while _publish(chosen, mail) == _BATCH:
        pass


@database.again
def _publish(chosen: Notifications, mail: bool) -> int:
    """Publish some events; return how many."""
    now = now_ms()
    with database.transaction() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [_LOCK])
        cursor.execute(
            _PUBLISH,
            {
                "batch": _BATCH,
                "mails": chosen.mails_per_hour,
                "mail": mail,
                "now": now,
                "hour": _HOUR_MS,
                "next_digest": next_digest_ms(now, chosen.digest_hour),
            },
        )
        return int(cursor.fetchone().n)


def next_digest_ms(now: int, hour: int) -> int:
    """Return when the next digest goes out: that hour of the day, UTC, in epoch ms."""
    today = now - now % _DAY_MS + hour * _HOUR_MS
    return today if today > now else today + _DAY_MS


def _address_alerts(cursor: database.Cursor, chosen: Notifications) -> None:
    """Have alerts told to the address of the settings, or to nobody."""
    kinds = [ALERT] if chosen.alerts_to else []
    cursor.execute(
        "INSERT INTO channel (channel_id, user_id, way, kinds, created_ms) VALUES (%s, NULL, 'mail', %s, %s)"
        " ON CONFLICT (channel_id) DO UPDATE SET kinds = excluded.kinds"
        " WHERE channel.kinds <> excluded.kinds",
        [_OPERATOR, kinds, now_ms()],
    )


def prune() -> None:
    """Delete published events that are older than the settings keep them, with their deliveries."""
    before_ms = now_ms() - load().notifications.retention_s * 1000
    with database.transaction() as cursor:
        cursor.execute(
            "DELETE FROM event WHERE event_id IN (SELECT event_id FROM event"
            " WHERE at_ms < %s AND position IS NOT NULL ORDER BY at_ms LIMIT 5000)",
            [before_ms],
        )
