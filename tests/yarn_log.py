"""What the ResourceManager's log says of containers: each change of state, to the millisecond."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from market.kit import settings


@dataclass(frozen=True)
class Life:
    """A container's life so far, epoch ms; `ran`: its machine started it."""

    start_ms: int
    end_ms: int
    ran: bool

    @property
    def length_ms(self) -> int:
        return self.end_ms - self.start_ms


def lives(stack: settings.Settings, application_id: str) -> dict[str, Life]:
    """Return the life of each container that an application was given."""
    found: dict[str, Life] = {}
    for container_id, at_ms, state in _changes(stack, application_id):
        life = found.get(container_id, Life(at_ms, at_ms, ran=False))
        found[container_id] = Life(life.start_ms, at_ms, life.ran or state == "RUNNING")
    return found


def ran(stack: settings.Settings, application_id: str) -> set[str]:
    """Return the containers that a machine started.

    There may be others: YARN takes how many containers an application still wants as a total, and what it
    gave since the application last looked is not in it. So one that asks for two may be given a third (one in
    five is). Spark hands that back unused within a second or so; it was allocated until then, and is charged
    as such.
    """
    return {container_id for container_id, life in lives(stack, application_id).items() if life.ran}


def _changes(stack: settings.Settings, application_id: str) -> Iterator[tuple[str, int, str]]:
    part = application_id.removeprefix("application_")
    line = re.compile(
        r"(\S+ \S+),(\d{3}) INFO RMContainerImpl: (container_(?:e\d+_)?" + part + r"_\d+_\d+)"
        r" Container Transitioned from \w+ to (\w+)"
    )
    for found in line.finditer((stack.paths.logs / "resourcemanager.log").read_text(errors="replace")):
        at = datetime.strptime(found[1], "%Y-%m-%d %H:%M:%S").astimezone()  # the log has no zone: it is local
        yield found[3], round(at.timestamp() * 1000) + int(found[2]), found[4]
