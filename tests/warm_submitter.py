"""The warm submitter of a running stack, as tests look at it."""

from __future__ import annotations

from market import settings
from market.jobs.submitter import client, process
from market.stack.supervisor import Supervisor


def said(stack: settings.Settings) -> str:
    """Return what it says of itself; nothing while it does not answer."""
    try:
        return client.status(str(process.socket(stack)))
    except OSError:
        return ""


def pid(stack: settings.Settings) -> int:
    """Return its process."""
    return int(Supervisor(stack).states()["submitter"]["pid"])
