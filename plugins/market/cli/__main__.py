"""`./market`: reads the command and hands over; each command's module is loaded only when asked for."""

from __future__ import annotations

import argparse
import sys

from market import settings
from market.stack.setup import SetupError


def main(arguments: list[str]) -> int:
    """Run one command; return its exit code (0 well, 1 not, 2 wrong call)."""
    parser = argparse.ArgumentParser(prog="./market", description="A market of machines and Spark jobs.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("setup", help="install what is missing, into .market/")
    test = commands.add_parser("test", help="run the tests")
    test.add_argument("groups", nargs="*", metavar="GROUP", help="unit, database (default: all)")
    commands.add_parser("lock", help="make requirements*.txt from requirements*.in")
    chosen = parser.parse_args(arguments)
    try:
        return _run(chosen)
    except (SetupError, settings.SettingsError) as error:
        print(f"market: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nmarket: interrupted; the same command goes on from here", file=sys.stderr)
        return 130


def _run(chosen: argparse.Namespace) -> int:
    paths = settings.load().paths
    if chosen.command == "setup":
        from market.stack import setup

        print("set up" if setup.run(paths) else "nothing to do")
        return 0
    if chosen.command == "lock":
        from market.cli import lock

        return lock.run(paths)
    from market.cli import test

    return test.run(paths, chosen.groups)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
