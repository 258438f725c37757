"""`./market backup [--to DIR]`: copy what the market cannot make again, while it runs."""

from __future__ import annotations

import argparse
from pathlib import Path

from market.kit.settings import Settings
from market.ops.backup.take import take
from market.ops.cli.stack import console, progress


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Take the folder."""
    parser.add_argument(
        "--to",
        type=Path,
        metavar="DIR",
        help="where backups and the log of changes go from now on (default: [backup] folder)",
    )


def run(settings: Settings, chosen: argparse.Namespace) -> int:
    """Make a backup; return 0. Raises SetupError, UnavailableError."""
    folder = chosen.to or settings.backup_folder
    made = take(settings, folder, progress, console.print)
    kind = f"the changes since {made.parent}" if made.parent else "whole"
    console.print(f"{folder / made.name} ({kind}). Restore: ./market restore --from {folder} [--at TIME]")
    return 0
