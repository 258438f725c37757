"""What YARN allocates for a heap."""

from __future__ import annotations

from dataclasses import replace

import pytest

from market.hadoop import allocation
from market.kit import settings


def test_memory_is_rounded_as_yarn_rounds_it() -> None:
    assert allocation.container_mib(512) == 1024
    assert allocation.container_mib(513) == 1088
    assert allocation.container_mib(10_000) == 11_008  # a tenth for what is beside the heap


@pytest.mark.parametrize("most", [1024, 4096, 8000, 16_384, 65_536, 100_000])
def test_the_largest_heap_is_the_last_whose_container_yarn_gives(
    monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    loaded = settings.load()
    other = replace(loaded, jobs=replace(loaded.jobs, max_container_memory_mib=most))
    monkeypatch.setattr(settings, "load", lambda *arguments: other)
    heap = allocation.most_heap_mib()
    assert allocation.container_mib(heap) <= most < allocation.container_mib(heap + 1)
