"""Time and ids, in one form everywhere."""

from __future__ import annotations

import secrets
import time


def now_ms() -> int:
    """Return the time in epoch milliseconds, UTC."""
    return time.time_ns() // 1_000_000


def new_id() -> str:
    """Return a new random id: 32 hex digits."""
    return secrets.token_hex(16)
