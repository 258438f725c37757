"""The settings that the running services were started with, kept to tell them from those in the files."""

from __future__ import annotations

import json
from typing import Any

from market.kit import settings_files
from market.kit.settings import Settings

_NAME = "settings.json"


def note(settings: Settings) -> None:
    """Keep what the files say now: services are about to be started with it."""
    paths = settings.paths
    (paths.run / _NAME).write_text(json.dumps(settings_files.read(paths.root, paths.state).merged))


def forget(settings: Settings) -> None:
    """Forget it: nothing runs any more."""
    (settings.paths.run / _NAME).unlink(missing_ok=True)


def settings_then(settings: Settings) -> dict[str, Any] | None:
    """Return it, by section and key; None if nothing runs."""
    try:
        found: dict[str, Any] = json.loads((settings.paths.run / _NAME).read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    return found
