"""Tells the market which release its machines must have: the one of the runtime that is installed here."""

from __future__ import annotations

import json
from dataclasses import asdict

from distributedmarket.runtime import release
from market.kit.settings import Settings


def write(settings: Settings) -> None:
    """Write the file that `market.machines.release` reads."""
    file = settings.paths.run / "release.json"
    fresh = file.with_suffix(".new")
    fresh.write_text(json.dumps(asdict(release.current(settings.paths.runtime))) + "\n")
    fresh.chmod(0o644)
    fresh.rename(file)
