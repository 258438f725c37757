"""The warm submitter of a running stack, as tests look at it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

from market.cluster.clients import resource_manager
from market.jobs.submission import warm_submitter
from market.kit import settings
from market.ops.run import submitter
from market.ops.run.supervisor import Supervisor

TYPE = "gpu"  # of machines that nobody lends: applications wait for one
Submit = Callable[..., "subprocess.Popen[str]"]


def said(stack: settings.Settings) -> str:
    """Return what it says of itself; nothing while it does not answer."""
    try:
        return warm_submitter.status(str(submitter.socket(stack)))
    except OSError:
        return ""


def pid(stack: settings.Settings) -> int:
    """Return its process."""
    return int(Supervisor(stack).states()["submitter"]["pid"])


def applications(tag: str) -> list[str]:
    """Return the applications that YARN has with a tag."""
    return [app.application_id for app in resource_manager().apps(tags=[tag])]
