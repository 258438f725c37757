"""The warm submitter of a running stack, as tests look at it."""

from __future__ import annotations

from market.jobs.submission import warm_submitter
from market.kit import settings
from market.ops.run import submitter
from market.ops.run.supervisor import Supervisor


def said(stack: settings.Settings) -> str:
    """Return what it says of itself; nothing while it does not answer."""
    try:
        return warm_submitter.status(str(submitter.socket(stack)))
    except OSError:
        return ""


def pid(stack: settings.Settings) -> int:
    """Return its process."""
    return int(Supervisor(stack).states()["submitter"]["pid"])
