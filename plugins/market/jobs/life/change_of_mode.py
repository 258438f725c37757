"""After a change of `[security] mode` or `wire_encryption`: what YARN took before cannot go on, and ends."""

from __future__ import annotations

from market.jobs.life import status
from market.kit import database

REASON = (
    "The market has changed how its servers are spoken to, and what YARN had taken before cannot go on."
    " What the job paid is given back; submit it again."
)


def end_of_others(protection: str) -> int:
    """Ask for the end of all runs that were handed to YARN under another protection; return how many.

    What waits and was not handed over goes on. To be called before a machine can take work.
    """
    with database.transaction() as cursor:
        cursor.execute(
            "SELECT tag FROM run JOIN submission USING (tag)"
            " WHERE ended_ms IS NULL AND status <> 'cancelling' AND mode <> %s ORDER BY tag",
            [protection],
        )
        tags = [row.tag for row in cursor.fetchall()]
    for tag in tags:
        status.stop_run(tag, "pool_failure", REASON)
    return len(tags)
