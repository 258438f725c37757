"""What one poll of the ResourceManager starts from, and what it observed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from market.cluster.event_log import ExecutorLife
from market.cluster.resourcemanager import App, Attempt, Container, Node, Partition
from market.kit import deadlines, settings
from market.metering.queries import Mark, TaggedJob
from market.metering.usage import KnownApplication, KnownContainer, Machine


def recovery_ms() -> int:
    """Return how long nothing counts as gone after a start of the ResourceManager.

    It hears of containers only as their nodes come back, which try again for this long.
    """
    return deadlines.RECOVERY.ms(settings.load())


@dataclass(frozen=True)
class Before:
    """What earlier polls left, read before this one begins."""

    mark: Mark
    applications: Mapping[str, KnownApplication]
    machines: Mapping[str, Machine]
    last_sample_ms: int


@dataclass
class Observation:
    """What a poll observed of one application. `app` None: the ResourceManager does not know it."""

    job: TaggedJob
    application_id: str
    app: App | None
    known: list[KnownContainer]
    live: list[Container] = field(default_factory=list)
    claims: list[ExecutorLife] = field(default_factory=list)  # what its own event log says of executors
    attempts: list[Attempt] = field(default_factory=list)
    place: int = 0  # among its job's applications
    waits: bool = False  # for a later poll to read its event log: until then it is not final

    @property
    def drivers(self) -> set[str]:
        """The containers that ran drivers."""
        return {attempt.container_id for attempt in self.attempts}

    @property
    def vanished(self) -> list[KnownContainer]:
        """Containers that were open and are not live now."""
        live = {container.container_id for container in self.live}
        return [
            container
            for container in self.known
            if container.end_ms is None and container.container_id not in live
        ]


@dataclass(frozen=True)
class Poll:
    """All that one poll observed."""

    at_ms: int
    epoch_ms: int
    nodes: Mapping[str, Node]
    partitions: Mapping[str, Partition]
    observations: list[Observation]
    unknown: list[App]  # none of the market's: see strangers.py

    @property
    def recovering(self) -> bool:
        """Tell whether the ResourceManager started so recently that it may not know all containers yet.

        A start that is long to come means that the clock has stepped back since.
        """
        return abs(self.at_ms - self.epoch_ms) < recovery_ms()

    def gone(self, observation: Observation) -> list[KnownContainer]:
        """Return the vanished containers that have ended for certain.

        What the ResourceManager has itself started since it came up it cannot have still to hear of.
        """
        return [
            container
            for container in observation.vanished
            if not self.recovering or container.start_ms >= self.epoch_ms
        ]
