"""Machines as the ResourceManager shows them."""

from __future__ import annotations

from typing import Any

from market.cluster.clients import resource_manager
from market.cluster.resourcemanager import Node


def node(node_id: str) -> Node | None:
    """Return a node, if it is known."""
    return next((one for one in resource_manager().nodes() if one.node_id == node_id), None)


def size(record: dict[str, Any]) -> tuple[str, tuple[str, ...], int, int] | None:
    """Return what the ResourceManager shows of a machine."""
    found = node(f"{record['ip_address']}:{record['service_port']}")
    return found and (found.state, found.labels, found.total_vcores, found.total_mib)
