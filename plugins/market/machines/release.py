"""The release that all machines of the market must have, so that drivers and executors fit together.

What enters its digest is defined once, where machines install it (distributedmarket.runtime.release). The
market is told by whoever starts it, in a file: it does not import the client.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from market.kit.errors import ConflictError, UnavailableError
from market.kit.settings import load

API = 1


class MisfitError(ConflictError):
    """A machine's release is another one than the market's: its executors would not fit the drivers."""

    title = "Another release"

    @property
    def members(self) -> Mapping[str, object]:
        """`code`, by which programs tell this conflict from others."""
        return {"code": "runtime_misfit"}


@dataclass(frozen=True)
class Release:
    """What a machine runs jobs with: the digest of its runtime, and its Python as 3.11."""

    runtime: str
    python: str


@dataclass(frozen=True)
class AgentRelease:
    """What an agent says of itself: its version, the interface that it speaks, its machine's release."""

    agent_version: str
    api: int
    machine: Release


def path() -> Path:
    """Return the file with the market's release, as JSON."""
    return load().paths.run / "release.json"


def expected() -> Release:
    """Return the market's release. Raises UnavailableError where the market was not started as a whole."""
    file = path()
    try:
        return _read(str(file), file.stat().st_mtime_ns)
    except (OSError, ValueError, TypeError):
        raise UnavailableError(
            "The market does not know its own release. Its operator can tell it with ./market up."
        ) from None


def require(agent: AgentRelease) -> None:
    """Raise MisfitError, in words that say what to do, unless an agent's release fits the market's."""
    reason = misfit(agent)
    if reason:
        raise MisfitError(reason)


def misfit(agent: AgentRelease) -> str:
    """Return why an agent's release does not fit the market's, and what to do; empty if it fits."""
    market = expected()
    if agent.api != API:
        return (
            f"This agent ({agent.agent_version}) speaks version {agent.api} of the market's interface for "
            f"agents, and the market speaks version {API}: {_UPDATE}."
        )
    if agent.machine.runtime != market.runtime:
        return f"This machine's runtime is of another release than the market's: {_UPDATE}."
    if agent.machine.python != market.python:
        return (
            f"This machine runs jobs with Python {agent.machine.python}, the market with {market.python}: "
            f"stop the agent, install Python {market.python}, remove the folder with what the agent has "
            "installed, and start it again with that Python."
        )
    return ""


_UPDATE = "stop the agent, update it (git pull, or pip install -U), and start it again"


@functools.lru_cache(maxsize=4)  # by the time of its last change: it is asked for with every heartbeat
def _read(file: str, changed_ns: int) -> Release:
    return Release(**json.loads(Path(file).read_text()))
