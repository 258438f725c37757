"""`./market rotate SECRET ...`: new values for secrets of the market, while it runs."""

from __future__ import annotations

import argparse

from market.kit.settings import Settings
from market.ops.cli.stack import console
from market.ops.run import rotation


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the secrets."""
    parser.add_argument(
        "secrets", nargs="+", metavar="SECRET", help=f"one of: {', '.join(rotation.ROTATIONS)}"
    )


def run(settings: Settings, chosen: argparse.Namespace) -> int:
    """Rotate them one after the other; return the exit code. Raises SettingsError."""
    for name in chosen.secrets:
        console.print(f"{name}: {rotation.rotate(settings, name)}")
    return 0
