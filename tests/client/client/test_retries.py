"""How long a client waits before it sends a request again."""

from __future__ import annotations

import email.utils
import time

import pytest

from distributedmarket.client.retries import Retries, retry_after_s


def test_waits_double_up_to_a_bound_and_are_never_the_same_for_all() -> None:
    retries = Retries(attempts=9, first_s=1, longest_s=10)
    for attempt, most in ((1, 1), (2, 2), (3, 4), (4, 8), (5, 10), (8, 10)):
        waits = {retries.wait_s(attempt) for _ in range(20)}
        assert len(waits) > 1
        assert all(wait is not None and most / 2 <= wait <= most for wait in waits)
    assert retries.wait_s(9) is None


def test_a_wished_wait_is_kept_unless_it_is_too_long() -> None:
    retries = Retries(attempts=3, first_s=1, longest_s=10)
    wait = retries.wait_s(1, retry_after=7)
    assert wait is not None
    assert 7 < wait <= 8
    assert retries.wait_s(1, retry_after=11) is None


@pytest.mark.parametrize(
    ("text", "seconds"), [("7", 7), (" 0 ", 0), ("", None), ("soon", None), ("-1", None), ("²", None)]
)
def test_retry_after_is_read_in_seconds(text: str, seconds: float | None) -> None:
    assert retry_after_s({"Retry-After": text} if text else {}) == seconds


def test_retry_after_may_be_a_date() -> None:
    later = retry_after_s({"Retry-After": email.utils.formatdate(time.time() + 100, usegmt=True)})
    assert later is not None
    assert 90 < later <= 100
    assert retry_after_s({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}) == 0
