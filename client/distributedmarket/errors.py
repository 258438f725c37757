"""What can go wrong for whoever uses this package: each message is one line and says what to do."""

from __future__ import annotations


class DistributedMarketError(Exception):
    """Base of all errors of this package that a caller can act on."""


class SetupError(DistributedMarketError):
    """An installation or a start failed, or the host lacks what it needs."""
