"""`./market`: reads the command and hands over; each command's module is loaded only when asked for."""

from __future__ import annotations

import argparse
import importlib
import sys

from distributedmarket.errors import DistributedMarketError
from market.kit import settings
from market.kit.errors import MarketError
from market.ops.cli import client, lock, test
from market.ops.install import setup
from market.ops.install.environment import enter

# Commands with a module of their own: `add_arguments(parser)` and `run(settings, chosen) -> exit code`.
_MODULES = {
    "demo": ("market.ops.cli.demo", "set up, start, and run the market's main job from end to end"),
    "share": ("market.ops.cli.share", "lend this machine"),
    "settle": ("market.ops.cli.settle", "charge buyers and pay lenders up to a time"),
    "ledger": ("market.ops.cli.ledger", "verify the ledger"),
    "alerts": ("market.ops.cli.alerts", "show what needs a look, and acknowledge it"),
    "backup": ("market.ops.cli.backup", "copy the database, HDFS and the secrets, while the market runs"),
    "restore": ("market.ops.cli.restore", "bring the market back to what it was at a time"),
    "metrics": ("market.ops.cli.metrics", "print the figures that Prometheus gets"),
    "rotate": ("market.ops.cli.rotate", "give secrets of the market new values, while it runs"),
    "look": ("market.ops.cli.look", "show a page of Hadoop's or Spark's servers"),
    "config": ("market.ops.cli.config", "show, check and compare the settings"),
}
_STACK = ("up", "down", "status", "restart", "logs", "reset")


def main(arguments: list[str]) -> int:
    """Run one command; return its exit code."""
    try:
        if client.is_meant(arguments):
            return _of_client(arguments)
        return _run(_parser(arguments).parse_args(arguments))
    except (DistributedMarketError, settings.SettingsError, MarketError) as error:
        print(f"market: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nmarket: interrupted; the same command goes on from here", file=sys.stderr)
        return 130


def _parser(arguments: list[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="./market",
        description="A market of machines and Spark jobs.",
        epilog="for those who run jobs or lend (./market COMMAND --help): " + ", ".join(client.COMMANDS),
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("setup", help="install what is missing, into .market/")
    commands.add_parser("up", help="start the stack")
    down = commands.add_parser("down", help="stop the stack")
    down.add_argument("--force", action="store_true", help="do not ask, even if jobs are running")
    status = commands.add_parser("status", help="show each service")
    status.add_argument("--json", action="store_true", help="for programs")
    restart = commands.add_parser("restart", help="restart one service")
    restart.add_argument("service", metavar="SERVICE")
    logs = commands.add_parser("logs", help="show the log of a service")
    logs.add_argument("service", metavar="SERVICE")
    logs.add_argument("-f", "--follow", action="store_true", help="go on as it grows")
    reset = commands.add_parser("reset", help="delete all data of the stack")
    reset.add_argument("--yes", action="store_true", help="do not ask")
    for name, (module, text) in _MODULES.items():
        sub = commands.add_parser(name, help=text)
        if arguments[:1] == [name]:
            _enter(name)
            importlib.import_module(module).add_arguments(sub)
    test = commands.add_parser("test", help="run the tests")
    test.add_argument(
        "groups", nargs="*", metavar="GROUP", help="unit, database, cluster, browser (default: all)"
    )
    commands.add_parser("lock", help="make requirements*.txt from requirements*.in")
    return parser


def _of_client(arguments: list[str]) -> int:
    loaded = settings.load()
    setup.run_client(loaded.paths)
    enter(loaded.paths.agent_env)
    return client.run(loaded, arguments)


def _enter(command: str) -> None:
    """Set up what is missing and go on in the command's environment (does not return the first time)."""
    if command == "config":  # whose modules need nothing that is installed
        return
    paths = settings.load().paths
    if command == "share":  # the machine may be nobody's stack: it gets no Airflow
        setup.run_agent(paths)
        enter(paths.agent_env)
        return
    if command in ("up", "demo"):
        setup.run(paths)
    enter(paths.airflow_env)


def _run(chosen: argparse.Namespace) -> int:
    loaded = settings.load()
    if chosen.command == "setup":
        print("set up" if setup.run(loaded.paths) else "nothing to do")
        return 0
    if chosen.command == "lock":
        return lock.run(loaded.paths)
    if chosen.command == "test":
        return test.run(loaded.paths, chosen.groups)
    if chosen.command in _STACK:
        _enter(chosen.command)
        stack = importlib.import_module("market.ops.cli.stack")
        code: int = getattr(stack, chosen.command)(loaded, chosen)
        return code
    code = importlib.import_module(_MODULES[chosen.command][0]).run(loaded, chosen)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
