"""A registered machine, as the table `machine` keeps it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from market.kit.vocabulary import MACHINE_LIVE


@dataclass(frozen=True)
class Machine:
    """A registered machine. `user_id` None: the pool's own. Times are epoch ms.

    `admitted`: the ResourceManager has read a list that names its host, so its NodeManager may register.
    """

    machine_id: str
    user_id: str | None
    machine_type: str
    display_name: str
    ip_address: str
    service_port: int
    core_count: int
    memory_mib: int
    time_period_s: int
    state: str
    reason: str
    token_sha256: str | None
    created_ms: int
    active_ms: int | None
    drain_ms: int | None
    drain_now: bool
    left_ms: int | None
    lease_end_ms: int
    joined_ms: int | None = None
    hours: str = ""
    time_zone: str = "UTC"
    rests: bool = False
    host_cores: int | None = None
    host_memory_mib: int | None = None
    past_sizes: Sequence[str] = field(default_factory=list)
    trust: int = 0
    verified_ms: int | None = None
    own_address: bool = False
    key_ms: int | None = None
    admitted: bool = False

    @property
    def node_id(self) -> str:
        """Return how the ResourceManager calls its NodeManager."""
        return f"{self.ip_address}:{self.service_port}"

    @property
    def size(self) -> str:
        """Return its size as `past_sizes` keeps it."""
        return size_name(self.core_count, self.memory_mib)

    @property
    def confirmed(self) -> bool:
        """Tell whether it is known to be where it says: by its registration's way, or by its NodeManager."""
        return self.own_address or self.active_ms is not None

    @property
    def live(self) -> bool:
        """Tell whether the registration holds its host."""
        return self.state in MACHINE_LIVE


def size_name(cores: int, memory_mib: int) -> str:
    """Return a size in one word."""
    return f"{cores}x{memory_mib}"


COLUMNS = ", ".join(Machine.__dataclass_fields__)
