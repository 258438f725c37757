"""Whether what runs is what this clone has: `up` and `status` say so, and nothing changes unasked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from market.kit.settings import Settings
from market.ops.run import releases, started_with

_FIRST = "./market down && ./market up"
_REMEDY = "./market upgrade"


@dataclass(frozen=True)
class Running:
    """The release of each service that runs, and this clone's.

    `services` is empty where nothing runs. A service's release is "" where it runs from a clone itself, as
    before releases lay side by side.
    """

    clone: str
    current: str
    services: Mapping[str, str]

    @property
    def in_place(self) -> bool:
        """Tell whether services run from a clone's own files, so that an upgrade cannot go beside them."""
        return bool(self.services) and not self.current

    @property
    def differs(self) -> bool:
        """Tell whether a service runs from another release than this clone's."""
        return any(name != self.clone for name in self.services.values())

    @property
    def elsewhere(self) -> bool:
        """Tell whether what runs is another release's to keep up, not this code's."""
        return bool(self.services) and self.current != self.clone

    @property
    def told(self) -> str:
        """Say what runs, and the remedy where that is not what this clone has."""
        if not self.services:
            return f"{self.clone} (nothing runs)"
        if self.in_place:
            return f"what runs was started from the clone's own files; this clone has {self.clone}: {_FIRST}"
        if not self.differs:
            return self.clone
        others = sorted({f"{name or 'the clone'}" for name in self.services.values() if name != self.clone})
        behind = sorted(one for one, name in self.services.items() if name != self.clone)
        which = "" if len(behind) == len(self.services) else f" ({', '.join(behind)})"
        return f"{', '.join(others)} runs{which}; this clone has {self.clone}: {_REMEDY}"

    def as_json(self) -> dict[str, object]:
        """Return it for programs."""
        return {
            "clone": self.clone,
            "current": self.current or None,
            "services": dict(self.services),
            "up_to_date": not self.differs,
        }


def look(settings: Settings) -> Running:
    """Look at what the services of a stack were started from."""
    paths = settings.paths
    current = releases.current(paths.state)
    found: dict[str, str] = {}
    if started_with.settings_then(settings) is not None:
        noted = {service: one.like for service, one in releases.of_services(paths.state).items()}
        found = noted or {"services": ""}
    return Running(releases.name_of(paths.root), current.name if current and found else "", found)
