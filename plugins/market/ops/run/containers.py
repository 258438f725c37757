"""What differs in the image's containers (Dockerfile): there an engine starts and stops the services."""

from __future__ import annotations

import os

from distributedmarket.errors import SetupError

_MARK = "MARKET_CONTAINER"


def inside() -> bool:
    """Tell whether this process runs in a container of the market's image."""
    return bool(os.environ.get(_MARK))


def refuse_inside(instead: str) -> None:
    """Refuse, in such a container, what only the host's engine may do; `instead` is its command there.

    A second supervisor beside the engine would take the services for leftovers and end them, and give all of
    them other ports. Raises SetupError.
    """
    if inside():
        raise SetupError(f"these services are containers: on their host, use docker compose {instead}")
