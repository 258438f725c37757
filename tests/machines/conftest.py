"""A market with two members, on a real PostgreSQL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from ledger_world import World

from market.machines import registry
from market.people.member import Member


@dataclass
class Lenders:
    """Two members and what they lend."""

    world: World
    anna: Member
    bert: Member
    row_time: int = 0

    def lend(self, member: Member | None = None, **changes: Any) -> dict[str, Any]:
        body = {
            "core_count": 4,
            "memory_size": 4096,
            "machine_type": "cpu",
            "time_period": 3600,
            "service_port": 8041,
        }
        return registry.register(member or self.anna, {**body, **changes})

    def joined(self, **changes: Any) -> str:
        answer = self.lend(**changes)
        registry.join(self.anna, answer["machine_id"], answer["join"]["token"])
        return str(answer["machine_id"])

    def row(self, machine_id: str) -> Any:
        return self.world.sql("SELECT * FROM machine WHERE machine_id = %s", machine_id)[0]


@pytest.fixture
def lenders(world: World) -> Lenders:
    people = [Member(world.member(), f"user{n}", f"user{n}@example.org") for n in (1, 2)]
    return Lenders(world, *people)
