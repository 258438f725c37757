"""Every test belongs to one group: that of its folder or file, else `unit`."""

import pytest

GROUPS = {"database", "cluster", "browser"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if not GROUPS & {mark.name for mark in item.iter_markers()}:
            item.add_marker(pytest.mark.unit)
