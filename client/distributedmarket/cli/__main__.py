"""`market COMMAND`: the command line of whoever uses a market from elsewhere.

What a command needs is imported when it runs: `market --help` is to be there at once.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys

from distributedmarket.cli import exits, table
from distributedmarket.errors import DistributedMarketError

_TRACEBACK = "MARKET_TRACEBACK"


def run() -> None:
    """Run the command that was typed, and end with its exit code."""
    sys.exit(main(sys.argv[1:]))


def main(arguments: list[str]) -> int:
    """Run one command; return its exit code. No error leaves it but as words."""
    if not arguments:
        arguments = ["--help"]
    chosen = _parsed(arguments)
    try:
        return _run(chosen)
    except DistributedMarketError as error:
        failures = importlib.import_module("distributedmarket.cli.failures")
        as_json = getattr(chosen, "json", False)
        print(failures.as_json(error) if as_json else f"market: {failures.words(error)}", file=sys.stderr)
        code: int = failures.code(error)
        return code
    except KeyboardInterrupt:
        print("\nmarket: interrupted", file=sys.stderr)
        return exits.INTERRUPTED
    except EOFError:
        print("\nmarket: nothing was answered", file=sys.stderr)
        return exits.REFUSED
    except BrokenPipeError:  # whoever read the answer has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return exits.DONE
    except Exception as error:
        if os.environ.get(_TRACEBACK):
            importlib.import_module("traceback").print_exc()
        words = f"{type(error).__name__}: {error}".splitlines()[0]
        print(f"market: a fault of this program: {words} ({_TRACEBACK}=1 shows where)", file=sys.stderr)
        return exits.FAULT


def _parsed(arguments: list[str]) -> argparse.Namespace:
    command = table.COMMANDS.get(arguments[0])
    behind: list[str] = []
    if command is not None and command.program and "--" in arguments:
        place = arguments.index("--")
        arguments, behind = arguments[:place], arguments[place + 1 :]
    if command is not None and command.words and arguments[1:2] not in _named(command):
        arguments = [arguments[0], command.words[0], *arguments[1:]]
    chosen = table.parser(only=arguments[0]).parse_args(arguments)
    if getattr(chosen, "arguments", None):
        chosen.parser.error(f"write -- before what the program is given: -- {' '.join(chosen.arguments)}")
    chosen.program_arguments = behind
    return chosen


def _named(command: table.Command) -> list[list[str]]:
    return [[word] for word in (*command.words, "-h", "--help")]


def _run(chosen: argparse.Namespace) -> int:
    context = importlib.import_module("distributedmarket.cli.context")
    code: int = chosen.run(context.Context(chosen), chosen)
    return code


if __name__ == "__main__":
    run()
