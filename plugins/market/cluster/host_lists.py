"""What the ResourceManager's REST does not offer: having it read its lists of hosts again."""

from __future__ import annotations

import time
import uuid
from pathlib import Path

from market.cluster.errors import ClusterRefused, ClusterUnavailable

_DEADLINE_S = 30.0
_LOOK_S = 0.02


def refresh(folder: Path, graceful_timeout_s: int) -> None:
    """Have the ResourceManager read `nodes.include` and `nodes.exclude.xml` in a folder, and wait for it.

    Hosts that leave are drained by it: they get no new container, and go when their last application ends or
    the time is over (s). java/hadoop/HostLists.java says how it is asked. Raises ClusterRefused with what is
    wrong; ClusterUnavailable when it does not answer: it reads the lists when it has started.
    """
    asked = uuid.uuid4().hex
    replace(folder / "refresh", f"{asked} {graceful_timeout_s}\n")
    until = time.monotonic() + _DEADLINE_S
    while time.monotonic() < until:
        answered, _, outcome = text(folder / "refreshed").strip().partition(" ")
        if answered == asked:
            if outcome != "done":
                raise ClusterRefused(f"the lists of hosts were not read: {outcome}")
            return
        time.sleep(_LOOK_S)
    raise ClusterUnavailable(
        f"the ResourceManager has not read the lists of hosts within {_DEADLINE_S:.0f} s"
    )


def replace(path: Path, content: str) -> None:
    """Write a file so that a reader sees it whole, old or new: a part of a list could admit others."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(content)
    fresh.rename(path)


def text(path: Path) -> str:
    """Return what a file holds; empty where there is none."""
    try:
        return path.read_text()
    except FileNotFoundError:
        return ""
