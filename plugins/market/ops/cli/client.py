"""`./market COMMAND` of those who run jobs or lend: handed on to the client, so that it needs no install.

By default it speaks to the market of this clone. It runs in the agent's environment: nothing here may import
Airflow, a database's driver or Flask.
"""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Sequence

from distributedmarket.cli import table
from distributedmarket.cli.__main__ import main
from market.kit.settings import Settings

COMMANDS = {name: command.summary for name, command in table.COMMANDS.items() if name != "share"}
_JOB = re.compile(r"[0-9a-f]{4,32}")
_LOGS_OF_JOBS = ("--file", "--role", "--point", "--tail", "--list", "--json", "--profile", "--help", "-h")


def is_meant(arguments: Sequence[str]) -> bool:
    """Tell whether a command is the client's. `logs` is, unless it names a service of the stack."""
    if not arguments or arguments[0] not in COMMANDS:
        return False
    if arguments[0] != "logs":
        return True
    named = [word for word in arguments[1:] if not word.startswith("-")]
    of_jobs = any(word.partition("=")[0] in _LOGS_OF_JOBS for word in arguments[1:])
    return of_jobs or all(_JOB.fullmatch(word) for word in named)


def run(settings: Settings, arguments: Sequence[str]) -> int:
    """Run a command of the client; return its exit code."""
    os.environ.setdefault("MARKET_DEFAULT_SERVER", settings.url("api"))
    os.environ.setdefault("MARKET_DEFAULT_PIN", _own_pin(settings))
    return main(list(arguments))


def _own_pin(settings: Settings) -> str:
    # Not at the top: the launcher reads this file before anything is installed.
    pin: str = importlib.import_module("market.ops.cli.own_market").pin(settings)
    return pin
