"""Which commands there are: each in a module that is loaded only when it is asked for."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Callable
from typing import NamedTuple

from distributedmarket import VERSION
from distributedmarket.cli import exits
from distributedmarket.cli.parser import Parser


class Command(NamedTuple):  # of dataclasses the import alone would take a tenth of the time of --help
    """`module.function` declares its options. `program`: what stands behind `--` is a program's."""

    module: str
    summary: str
    program: bool = False
    words: tuple[str, ...] = ()  # the commands of its own; the first is meant where none is named


COMMANDS = {
    "register": Command("account", "make an account at a market, and log in"),
    "login": Command("account", "log in to a market, and stay so"),
    "logout": Command("account", "forget a login"),
    "password": Command("account", "change your password; every older login ends"),
    "account": Command(
        "profile",
        "your address, your name, a password that you forgot: show, confirm, email, name, reset",
        words=("show", "confirm", "email", "name", "reset", "deactivate", "delete"),
    ),
    "tokens": Command(
        "tokens", "tokens for programs: list, create, revoke", words=("list", "create", "revoke")
    ),
    "whoami": Command("account", "who is logged in, and where"),
    "run": Command("run", "run a program of this host, and fetch its results", program=True),
    "submit": Command("jobs", "submit a program that lies in your home of the market", program=True),
    "quote": Command("jobs", "what that would cost", program=True),
    "jobs": Command("jobs", "list your jobs"),
    "job": Command("jobs", "where a job stands; --wait follows it"),
    "logs": Command("output", "what a job prints; -f follows it"),
    "results": Command("output", "what a job leaves: list, get, rm", words=("list", "get", "rm")),
    "cancel": Command("jobs", "stop jobs"),
    "extend": Command("jobs", "let a job cost more or run longer"),
    "retry": Command("jobs", "submit an ended job again"),
    "files": Command("files", "your files in the market: ls, put, get, rm", words=("ls", "put", "get", "rm")),
    "machines": Command("machines", "list your machines"),
    "machine": Command("machines", "how a machine is"),
    "share": Command("share", "lend this machine"),
    "resize": Command("machines", "lend more or less of a machine"),
    "leave": Command("machines", "take a machine out of the pool"),
    "credits": Command("money", "what you have"),
    "statement": Command("money", "every posting of your account"),
    "price": Command("money", "what each type of machine costs now"),
    "receipt": Command("money", "what a job has cost, by container"),
    "notify": Command(
        "notify",
        "what you are told of, by mail and webhooks: show, mail, hook, unhook, test",
        words=("show", "mail", "hook", "unhook", "test"),
    ),
    "events": Command("notify", "what has happened to your jobs, machines and credits"),
    "projects": Command(
        "projects",
        "budgets that you spend from with others",
        words=("list", "show", "new", "change", "add", "remove", "pay", "statement", "report"),
    ),
    "invitations": Command(
        "admission",
        "who may register, for administrators: list, create, revoke",
        words=("list", "create", "revoke"),
    ),
    "approvals": Command(
        "admission",
        "accounts that wait for an administrator: list, approve, refuse",
        words=("list", "approve", "refuse"),
    ),
    "completion": Command("completion", "completion of commands for bash, zsh and fish"),
}


def parser(only: str | None = None) -> argparse.ArgumentParser:
    """Return the parser; `only` names the one command whose options are declared, None means all."""
    made = Parser(
        prog="market",
        description="Run Spark jobs on a market of machines, or lend it one.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=_epilog(),
    )
    made.add_argument("--version", action="version", version=VERSION)
    words = made.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, command in COMMANDS.items():
        below = words.add_parser(name, help=command.summary, description=f"{command.summary.capitalize()}.")
        below.set_defaults(parser=below)
        if only in (None, name):
            _declare(name, command, below)
    return made


def _declare(name: str, command: Command, parser: argparse.ArgumentParser) -> None:
    module = importlib.import_module(f"distributedmarket.cli.commands.{command.module}")
    declare: Callable[[argparse.ArgumentParser], None] = getattr(module, name)
    declare(parser)
    if not command.words:
        importlib.import_module("distributedmarket.cli.options").common(parser)


def _epilog() -> str:
    codes = "\n".join(f"  {code:3}  {meaning}" for code, meaning in exits.MEANINGS.items())
    return (
        "examples:\n"
        "  market login --server https://10.8.0.1:8080 --pin sha256:... --username ada\n"
        "  market run --cores 2 train.py -- --epochs 3\n"
        "  market jobs\n"
        "  market COMMAND --help\n\n"
        f"exit codes:\n{codes}"
    )
