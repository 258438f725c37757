"""Write docs/commands.md from the parser of the command line: `python tools/write_commands.py`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from distributedmarket.cli import exits, table

REFERENCE = Path(__file__).parents[1] / "docs" / "commands.md"
_IN_ALL = ("--help", "--json", "--profile")
_HEAD = """# Commands

Of those who run jobs or lend machines, after `pip install ./client`; in a clone, `./market COMMAND` does the
same. Made from the program's own help by `tools/write_commands.py`. [The first job](first-job.md) shows them.

Every command takes `--json`, to answer in JSON on standard output (an error on standard error, with the
market's problem document), and `--profile NAME`, for another login than the usual one. Colours are for
terminals only, and `NO_COLOR` turns them off. No command asks anything where there is no terminal: `--yes`
answers, `--password-file` tells.

| Exit code | |
|---|---|
"""


def main() -> None:
    """Write the file."""
    REFERENCE.write_text(text())


def text() -> str:
    """Return what the file is to hold: the same whatever Python formats a help."""
    codes = "\n".join(f"| {code} | {meaning} |" for code, meaning in exits.MEANINGS.items())
    sections = "\n".join(_sections())
    return f"{_HEAD}{codes}\n\n{sections}"


def _sections() -> Iterator[str]:
    for name, parser in _below(table.parser()).items():
        yield f"## market {name}\n\n{parser.description}\n"
        if rows := _rows(parser):
            yield _table(rows)
        for word, leaf in _below(parser).items():
            yield f"`market {name} {word}`\n"
            if rows := _rows(leaf):
                yield _table(rows)
        _, _, lines = str(parser.epilog).partition("examples:\n")
        examples = "\n".join(line.strip() for line in lines.splitlines())
        yield f"```\n{examples}\n```\n"


def _table(rows: list[tuple[str, str]]) -> str:
    return "| | |\n|---|---|\n" + "\n".join(f"| `{words}` | {help} |" for words, help in rows) + "\n"


def _rows(parser: argparse.ArgumentParser) -> list[tuple[str, str]]:
    """Return what a command takes, and what each is for; what all take is said once above."""
    return [
        (_words(action), (action.help or "").replace("|", "\\|"))
        for action in parser._actions
        if not set(_IN_ALL) & set(action.option_strings)
        and not isinstance(action, argparse._SubParsersAction)
    ]


def _words(action: argparse.Action) -> str:
    choices = "|".join(map(str, action.choices or ())).replace("|", " \\| ")
    value = str(action.metavar or choices) if action.nargs != 0 else ""
    several = "..." if action.nargs in ("*", "+") else ""
    return " ".join(part for part in (", ".join(action.option_strings), value + several) if part)


def _below(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


if __name__ == "__main__":
    main()
