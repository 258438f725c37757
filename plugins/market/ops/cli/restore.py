"""`./market restore --from DIR [--at TIME]`: bring the market back to what it was at a time."""

from __future__ import annotations

import argparse
from pathlib import Path

from market.kit.settings import Settings
from market.ops.backup.restore import Wanted, restore
from market.ops.cli.settle import until_ms
from market.ops.cli.stack import confirmed, console, progress


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Take what is restored, and to when."""
    parser.add_argument("--from", dest="folder", type=Path, required=True, metavar="DIR", help="the backups")
    parser.add_argument(
        "--at",
        type=until_ms,
        metavar="TIME",
        help="the time to go back to, as 2026-11-29T01:02:03Z (default: the last that was written)",
    )
    parser.add_argument(
        "--key-file",
        type=Path,
        metavar="FILE",
        help="the key of the backup's secrets (default: this market's)",
    )
    parser.add_argument(
        "--hdfs", action="store_true", help="HDFS as the backup has it, though this host has one"
    )
    parser.add_argument(
        "--secrets", action="store_true", help="the secrets of the backup, though this host has some"
    )
    parser.add_argument("--yes", action="store_true", help="do not ask")


def run(settings: Settings, chosen: argparse.Namespace) -> int:
    """Restore; return the exit code. Raises SetupError."""
    console.print("Everything that was written to the market's database after that time is gone then.")
    if not chosen.yes and not confirmed("Restore?"):
        return 1
    wanted = Wanted(chosen.folder, chosen.at, chosen.key_file, chosen.hdfs, chosen.secrets)
    restore(settings, wanted, progress, console.print)
    console.print("Restored. ./market up starts it; ./market ledger verify looks at every row.")
    return 0
