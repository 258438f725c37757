"""The scheduled backup: `./market backup`, as a program of its own, and what the operator is told of it."""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress

from market.kit import alerts, database, settings, settings_files
from market.kit.environment import inherited
from market.kit.settings import Settings

_LASTS_S = 6 * 3600
_SHOWN = 1_500  # characters of what it printed
_SUBJECT = "scheduled"


class BackupError(RuntimeError):
    """A backup was not made; the message is what the command printed last."""


def run() -> None:
    """Make a backup by the settings. Raises BackupError, and the alert `backup` until the next is made."""
    loaded = settings.load()
    try:
        done = subprocess.run(
            [str(loaded.paths.airflow_env / "bin" / "python"), "-m", "market.ops.cli", "backup"],
            env=_environment(loaded),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_LASTS_S,
        )
        printed = done.stdout.decode(errors="replace")[-_SHOWN:]
        failed = done.returncode != 0
    except subprocess.TimeoutExpired:
        printed, failed = f"it was not done after {_LASTS_S} s", True
    if failed:
        with suppress(Exception), database.transaction() as cursor:
            alerts.raise_alert(cursor, alerts.BACKUP, _SUBJECT, printed)
        raise BackupError(printed)
    print(printed)
    with database.transaction() as cursor:
        alerts.clear(cursor, alerts.BACKUP, _SUBJECT)


def _environment(loaded: Settings) -> dict[str, str]:
    """Return the variables of the program: none of Airflow's, which hold passwords."""
    own = {name: os.environ[name] for name in (settings_files.VARIABLE,) if name in os.environ}
    root = loaded.paths.root
    return {
        **inherited(),
        **own,
        "MARKET_STATE_DIR": str(loaded.paths.state),
        "PYTHONPATH": f"{root / 'plugins'}{os.pathsep}{root / 'client'}",
    }
