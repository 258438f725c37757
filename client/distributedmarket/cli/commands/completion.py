"""`market completion SHELL`: completion of commands and options, made from the parser."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass

from distributedmarket.cli import exits, options, table
from distributedmarket.cli.context import Context


def completion(parser: argparse.ArgumentParser) -> None:
    """Declare `market completion`."""
    parser.add_argument("shell", choices=("bash", "zsh", "fish"))
    options.examples(
        parser,
        'eval "$(market completion bash)"        # in ~/.bashrc',
        'eval "$(market completion zsh)"         # in ~/.zshrc, behind compinit',
        "market completion fish | source         # in ~/.config/fish/config.fish",
    )
    parser.set_defaults(run=_completion)


def _completion(context: Context, chosen: argparse.Namespace) -> int:
    text = {"bash": _bash, "zsh": _zsh, "fish": _fish}[chosen.shell]()
    context.output.answer({"shell": chosen.shell, "text": text}, lambda: print(text))
    return exits.DONE


@dataclass(frozen=True)
class _Line:
    """A command, its summary, its own words, and its options with their words."""

    name: str
    summary: str
    words: tuple[str, ...]
    options: tuple[tuple[str, str], ...]


def _lines() -> Iterator[_Line]:
    for name, parser in _below(table.parser()).items():
        inner = _below(parser)
        leaves = [parser, *inner.values()]
        choices = [
            str(word)
            for action in parser._actions
            if not action.option_strings and action.choices and not inner
            for word in action.choices
        ]
        found = {
            option: action.help or ""
            for leaf in leaves
            for action in leaf._actions
            for option in action.option_strings
        }
        summary = table.COMMANDS[name].summary
        yield _Line(name, summary, (*inner, *choices), tuple(sorted(found.items())))


def _below(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Return a parser's commands."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


def _bash() -> str:
    lines = [*_lines()]
    cases = "\n".join(
        f'    {line.name}) words="{" ".join((*line.words, *(name for name, _ in line.options)))}" ;;'
        for line in lines
    )
    return f"""\
_market() {{
  local word="${{COMP_WORDS[COMP_CWORD]}}" words=""
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "{" ".join(line.name for line in lines)} --help --version" -- "$word"))
    return
  fi
  case "${{COMP_WORDS[1]}}" in
{cases}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$word"))
}}
complete -o default -F _market market"""


def _zsh() -> str:
    lines = [*_lines()]
    commands = "\n".join(f"    {_quoted(f'{line.name}:{line.summary}')}" for line in lines)
    cases = "\n".join(
        f"    {line.name}) offered=({' '.join((*line.words, *(name for name, _ in line.options)))}) ;;"
        for line in lines
    )
    return f"""\
_market() {{
  local -a commands offered
  commands=(
{commands}
  )
  if (( CURRENT == 2 )); then
    _describe command commands
    return
  fi
  case "$words[2]" in
{cases}
  esac
  compadd -- $offered
  _files
}}
compdef _market market"""


def _fish() -> str:
    text = ["complete -c market -f -n __fish_use_subcommand -l help", "complete -c market -l version"]
    for line in _lines():
        seen = f"-n '__fish_seen_subcommand_from {line.name}'"
        text.append(
            f"complete -c market -f -n __fish_use_subcommand -a {line.name} -d {_quoted(line.summary)}"
        )
        text += [f"complete -c market {seen} -a {word}" for word in line.words]
        for option, help in line.options:
            kind = "-l" if option.startswith("--") else "-s"
            text.append(f"complete -c market {seen} {kind} {option.lstrip('-')} -d {_quoted(help)}")
    return "\n".join(text)


def _quoted(text: str) -> str:
    """Return a text for a shell, in single quotes."""
    return "'" + text.replace("'", "'\\''") + "'"
