"""`./market config show | check [FILE] | diff`: what is set, where it comes from, and whether it is right."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from market.kit import settings_files
from market.kit.settings import Settings, of_files
from market.ops.run import started_with

_ABSENT = object()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Take what to do with the settings."""
    parser.add_argument(
        "action",
        choices=["show", "check", "diff"],
        help="show: all that is set, and by which file; check: whether it is right; diff: what differs from"
        " the shipped settings, and from those that the running services were started with",
    )
    parser.add_argument("file", nargs="?", type=Path, metavar="FILE", help="check this one instead")
    parser.add_argument("--json", action="store_true", help="for programs")


def run(settings: Settings, chosen: argparse.Namespace) -> int:
    """Carry out one action; return 0, with `diff` also where nothing differs. Raises SettingsError."""
    paths = settings.paths
    files = settings_files.read(paths.root, paths.state, chosen.file)
    of_files(files, paths.root, paths.state)
    if chosen.action == "check":
        print(f"{files.named} is right")
        return 0
    shown = list(_shown(files, started_with.settings_then(settings), only_changed=chosen.action == "diff"))
    if chosen.json:
        json.dump(shown, sys.stdout, indent=2)
        print()
        return 0
    for line in shown:
        print(_line(line))
    if not shown:
        print("nothing differs from what is shipped")
    if any(not line["in_force"] for line in shown):
        print("\nNot in force yet: ./market down && ./market up")
    return 0


def _shown(
    files: settings_files.Files, started: dict[str, Any] | None, only_changed: bool
) -> Iterator[dict[str, Any]]:
    before = {
        (section, key): value
        for section, key, value, _ in settings_files.Files(
            files.shipped_path, files.own_path, started or {}, {}
        ).lines()
    }
    for section, key, value, shipped in files.lines():
        in_force = started is None or before.get((section, key), _ABSENT) == value
        if only_changed and value == shipped and in_force:
            continue
        yield {
            "setting": f"[{section}] {key}",
            "value": value,
            "shipped": shipped,
            "from": str(files.shipped_path if value == shipped else files.own_path),
            "in_force": in_force,
        }


def _line(line: dict[str, Any]) -> str:
    text = f"{line['setting']} = {_toml(line['value'])}"
    if line["value"] != line["shipped"]:
        shipped = "not shipped" if line["shipped"] is None else f"shipped: {_toml(line['shipped'])}"
        text += f"   ({shipped}; from {line['from']})"
    return text if line["in_force"] else f"{text}   not in force yet"


def _toml(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
