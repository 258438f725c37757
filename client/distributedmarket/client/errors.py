"""What can go wrong between a client and its market. No message holds a token, a password or a body."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from distributedmarket.errors import DistributedMarketError


class MarketClientError(DistributedMarketError):
    """Base of the errors of this client."""


class UnreachableError(MarketClientError):
    """Nobody answers at the market's address, or not in time.

    `sent` tells whether the request may have reached the market all the same.
    """

    def __init__(self, message: str, sent: bool) -> None:
        super().__init__(message)
        self.sent = sent


class NotTrustedError(MarketClientError):
    """What answers at the market's address cannot prove to be the market; nothing was sent to it."""


class BrokenOffError(MarketClientError):
    """The market stopped in the middle of its answer."""


class NotRepeatableError(MarketClientError):
    """A request failed and was not sent again, since its body cannot be read a second time."""


class MarketApiError(MarketClientError):
    """The market refused a request. `problem` is its problem document (RFC 9457).

    `retry_after` is in seconds, where waiting helps; `errors` holds messages by field, for bad input.
    """

    def __init__(
        self,
        method: str,
        path: str,
        status: int,
        problem: Mapping[str, Any],
        retry_after: float | None = None,
    ) -> None:
        self.method, self.path, self.status = method, path, status
        self.problem = dict(problem)
        self.retry_after = retry_after
        words = ": ".join(word for word in (self.title, self.detail) if word)
        super().__init__(f"{method} {path}: {status} {words}")

    @property
    def title(self) -> str:
        """What kind of problem it is."""
        return str(self.problem.get("title", ""))

    @property
    def detail(self) -> str:
        """What happened, and what to do."""
        return str(self.problem.get("detail", ""))

    @property
    def code(self) -> str:
        """The name of the problem, where the market gives one for programs to tell it by; else empty."""
        return str(self.problem.get("code", ""))

    @property
    def errors(self) -> dict[str, list[str]]:
        """Messages by field."""
        errors = self.problem.get("errors")
        return dict(errors) if isinstance(errors, Mapping) else {}
