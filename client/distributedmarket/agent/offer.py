"""What is lent."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Offer:
    """What is lent; memory in MiB, time in seconds; address "" for the market's or the agent's choice.

    `hours` of the day, as 22:00-06:00 in `time_zone`; "" for all of them.
    """

    core_count: int
    memory_size: int
    machine_type: str
    time_period: int
    name: str
    ip_address: str
    hours: str = ""
    time_zone: str = ""

    def body(self) -> dict[str, Any]:
        """Return it as the market takes it."""
        return {key: value for key, value in asdict(self).items() if value != ""}
