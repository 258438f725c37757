"""Addresses that deleted accounts had confirmed: none of them brings a second opening grant.

The market keeps a digest of each with a key of its own: addresses can be guessed, so a digest without a key
would tell whoever has the table who was here.
"""

from __future__ import annotations

import hashlib
import hmac

from market.kit.database import Cursor
from market.kit.settings import load

KEY = "retired_addresses_key"  # among the market's own secrets


def retire(cursor: Cursor, user_id: str) -> None:
    """Put digests in the place of the addresses that a member has confirmed, in the caller's transaction."""
    cursor.execute("DELETE FROM confirmed_address WHERE user_id = %s RETURNING email", [user_id])
    for row in cursor.fetchall():
        cursor.execute("INSERT INTO retired_address VALUES (%s) ON CONFLICT DO NOTHING", [_digest(row.email)])


def has(cursor: Cursor, user_id: str) -> bool:
    """Tell whether the address of a member is one that an account had confirmed which is deleted."""
    cursor.execute(
        "SELECT email FROM member WHERE user_id = %s AND EXISTS (SELECT FROM retired_address)", [user_id]
    )
    row = cursor.fetchone()
    if row is None:  # the usual case needs no key
        return False
    cursor.execute("SELECT FROM retired_address WHERE digest = %s", [_digest(row.email)])
    found: bool = cursor.rowcount == 1
    return found


def _digest(email: str) -> bytes:
    return hmac.new(load().secret(KEY).encode(), email.lower().encode(), hashlib.sha256).digest()
