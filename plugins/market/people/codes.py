"""Codes that are good once, or a few times: 256 random bits, of which the market keeps a hash alone.

There is nothing to guess, so a plain SHA-256 is enough.
"""

from __future__ import annotations

import hashlib
import secrets

LONGEST = 128  # characters of what may be given as a code
_BYTES = 32


def new(prefix: str = "") -> str:
    """Return a new code of letters, digits, '-' and '_'."""
    return prefix + secrets.token_urlsafe(_BYTES)


def hashed(code: str) -> bytes:
    """Return what is kept of a code; blanks around it are a mailbox's or a clipboard's."""
    return hashlib.sha256(code.strip().encode(errors="replace")).digest()
