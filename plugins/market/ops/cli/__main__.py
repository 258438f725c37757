"""`./market`: reads the command and hands over; each command's module is loaded only when asked for."""

from __future__ import annotations

import argparse
import importlib
import sys
import textwrap

from distributedmarket import VERSION
from distributedmarket.cli import options
from distributedmarket.cli.parser import Parser
from distributedmarket.errors import DistributedMarketError, SetupError
from market.kit import settings
from market.kit.errors import MarketError
from market.ops.cli import client, lock, table, test
from market.ops.install import setup
from market.ops.install.environment import enter
from market.ops.run import releases

_STACK = ("up", "down", "restart", "logs", "reset")
_WIDTH = 78
_GROUPS = f"{', '.join(test.GROUPS)} (default: all of these); {', '.join(test.BY_COMMAND)}"


def main(arguments: list[str]) -> int:
    """Run one command; return its exit code."""
    arguments = arguments or ["--help"]
    try:
        if client.is_meant(arguments):
            return _of_client(arguments)
        return _run(_parser(arguments).parse_args(arguments))
    except (DistributedMarketError, settings.SettingsError, MarketError) as error:
        print(f"market: {_words(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nmarket: interrupted; the same command goes on from here", file=sys.stderr)
        return 130


def _words(error: Exception) -> str:
    """Return an error in words: what a market has answered as `market` tells it, in the options' words."""
    if isinstance(error, SetupError) or not isinstance(error, DistributedMarketError):
        return str(error)
    # Not at the top: only who speaks with a market has what this needs.
    words: str = importlib.import_module("distributedmarket.cli.failures").words(error)
    return words


def _parser(arguments: list[str]) -> Parser:
    parser = Parser(
        prog="./market",
        description="A market of machines and Spark jobs.",
        epilog="for those who run jobs or lend (./market COMMAND --help): " + ", ".join(client.COMMANDS),
    )
    parser.elsewhere = tuple(client.COMMANDS)
    parser.add_argument("--version", action="version", version=VERSION)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, command in table.COMMANDS.items():
        below = commands.add_parser(name, help=command.summary, description=_wrapped(command))
        options.examples(below, *command.examples)
        if name in _DECLARED:
            _DECLARED[name](below)
        elif command.module and command.options and arguments[:1] == [name]:
            _enter(name)
            importlib.import_module(command.module).add_arguments(below)
    return parser


def _wrapped(command: table.Command) -> str:
    words = command.description or f"{command.summary[0].upper()}{command.summary[1:]}."
    return "\n\n".join(textwrap.fill(paragraph, _WIDTH) for paragraph in words.split("\n\n"))


def _down(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--force", action="store_true", help="do not ask, even if jobs are running")


def _status(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="for programs")


def _restart(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("service", metavar="SERVICE", help="a name that ./market status shows")


def _logs(parser: argparse.ArgumentParser) -> None:
    _restart(parser)
    parser.add_argument("-f", "--follow", action="store_true", help="go on as it grows")


def _reset(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--yes", action="store_true", help="do not ask")


def _test(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=_GROUPS)


# What needs no module of its own to be declared.
_DECLARED = {
    "down": _down,
    "status": _status,
    "restart": _restart,
    "logs": _logs,
    "reset": _reset,
    "test": _test,
}


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
    if command in ("up", "demo") and not releases.is_release(paths.root):
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
    command = table.COMMANDS[chosen.command]
    if not command.options:  # else its module was entered when they were declared
        _enter(chosen.command)
    code = importlib.import_module(command.module).run(loaded, chosen)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
