"""What is looked at between the services' starts."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ledger_world import World

from distributedmarket.errors import SetupError
from market.kit import settings
from market.kit.clock import now_ms
from market.ops.run import bootstrap

pytestmark = pytest.mark.database


def test_a_type_that_open_jobs_want_cannot_be_left_out(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings.Settings, "database_url", lambda self, role: world.server.url(role))
    loaded = settings.load()
    without = replace(loaded, types={name: one for name, one in loaded.types.items() if name != "cpu"})
    job_id = world.job(world.member())
    bootstrap._keep_types(loaded)
    with pytest.raises(SetupError, match=r"cpu \(1\). Put \[types.cpu\] back"):
        bootstrap._keep_types(without)
    world.end_job(job_id, now_ms())
    bootstrap._keep_types(without)
