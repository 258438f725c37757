"""Time and ids, in one form everywhere."""

from __future__ import annotations

import secrets
import time


def now_ms() -> int:
    """Return the time in epoch milliseconds, UTC."""
    return time.time_ns() // 1_000_000


def new_id() -> str:
    """Return a new id, 32 hex digits that sort by time: epoch milliseconds, and 80 random bits.

    As with UUID version 7, the newest entries of an index lie together, however many old ones there are.
    """
    return f"{now_ms():012x}{secrets.token_hex(10)}"
