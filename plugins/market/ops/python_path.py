"""Where Python finds this clone's two packages."""

from __future__ import annotations

from pathlib import Path


def python_path(root: Path) -> str:
    """Return PYTHONPATH for a process of the stack: the market, and the client with the agent."""
    return f"{root / 'plugins'}:{root / 'client'}"
