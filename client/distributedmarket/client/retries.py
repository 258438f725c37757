"""When a request is sent again, and how long to wait before.

What may be repeated without harm is: GET, HEAD, PUT and DELETE, and a POST that carries an `Idempotency-Key`.
Another POST is sent again only where it certainly did nothing: it never left, or was refused with 429.
"""

from __future__ import annotations

import email.utils
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass

import requests
import urllib3.exceptions

REPEATABLE = frozenset({"GET", "HEAD", "PUT", "DELETE"})
_TOO_MANY = 429
_AWAY = frozenset({502, 503, 504})


@dataclass(frozen=True)
class Retries:
    """At most `attempts` in all; waits double from `first_s` to `longest_s`, and each is cut at random.

    A `Retry-After` of more than `longest_s` is not waited for: the caller gets the error, which names it.
    """

    attempts: int = 5
    first_s: float = 0.5
    longest_s: float = 60.0

    def wait_s(self, attempt: int, retry_after: float | None = None) -> float | None:
        """Return how long to wait after a failed attempt, counted from 1; None: it was the last one."""
        if attempt >= self.attempts or (retry_after or 0) > self.longest_s:
            return None
        # At random, so that clients that were refused together do not come back together.
        jitter = random.uniform(0.5, 1)  # noqa: S311
        if retry_after is not None:
            return retry_after + jitter * self.first_s
        return min(self.first_s * 2.0 ** (attempt - 1), self.longest_s) * jitter


ONCE = Retries(attempts=1)


def may_repeat_answer(status: int, repeatable: bool) -> bool:
    """Tell whether a request that was answered with a status may be sent again."""
    return status == _TOO_MANY or (repeatable and status in _AWAY)


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Return the seconds of `Retry-After`, which may also be a date; None without one."""
    text = headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except (TypeError, ValueError):
        return None


def was_sent(error: requests.RequestException) -> bool:
    """Tell whether a request that failed may have reached the server: not if no connection was made."""
    if isinstance(error, requests.ConnectTimeout):
        return False
    cause = error.args[0] if error.args else None
    reason = getattr(cause, "reason", cause)
    return not isinstance(
        reason, (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError)
    )
