"""`./market` says how it is written: its help, each command's, and what was wrong."""

from __future__ import annotations

import importlib
from typing import NoReturn

import pytest

from distributedmarket import VERSION
from distributedmarket.cli import exits
from distributedmarket.client import MarketApiError
from market.ops.cli import __main__ as launcher
from market.ops.cli import share, table
from market.ops.install import setup

pytestmark = pytest.mark.unit


@pytest.fixture(autouse=True)
def _nothing_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> NoReturn:
        raise AssertionError("a setup was begun")

    monkeypatch.setattr(setup, "run", fail)
    monkeypatch.setattr(setup, "run_agent", lambda paths: False)
    monkeypatch.setattr(launcher, "enter", lambda environment: None)


def ended(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int | str | None, str, str]:
    """Return the exit code of a command that only says something, and what it says."""
    with pytest.raises(SystemExit) as end:
        launcher.main([*words])
    said = capsys.readouterr()
    return end.value.code, said.out, said.err


def test_without_a_command_it_shows_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    code, shown, _ = ended(capsys)
    assert code == 0
    assert all(name in shown for name in table.COMMANDS)


def test_it_tells_its_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(capsys, "--version") == (0, f"{VERSION}\n", "")


@pytest.mark.parametrize("name", [name for name in table.COMMANDS if name != "logs"])
def test_every_command_has_help_with_an_example(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """And begins no setup; that of `logs` is that of a job's log as well, which is the client's."""
    code, shown, _ = ended(capsys, name, "--help")
    assert code == 0
    assert f"./market {name}" in shown.partition("examples:")[2]
    assert max(map(len, shown.splitlines())) <= 110


def test_every_module_of_a_command_is_there() -> None:
    for command in table.COMMANDS.values():
        if command.module:
            module = importlib.import_module(command.module)
            assert callable(module.run)
            assert hasattr(module, "add_arguments") == command.options


def test_the_demo_says_how_long_it_takes_and_what_it_leaves(capsys: pytest.CaptureFixture[str]) -> None:
    _, shown, _ = ended(capsys, "demo", "--help")
    words = " ".join(shown.split())
    assert "about 10 minutes and 4 GiB" in words
    assert "leaves running: the stack, and two machines" in words
    assert "./market down" in words


@pytest.mark.parametrize(
    ("words", "usage", "hint"),
    [
        (["status", "--jsno"], "usage: ./market status", "did you mean --json?"),
        (["settle", "--untl", "NOW"], "usage: ./market settle", "did you mean --until?"),
        (["demo", "--now"], "usage: ./market demo", "not known here: --now"),
        (["restart"], "usage: ./market restart", "SERVICE"),
        (["stauts"], "usage: ./market ", "did you mean status?"),
        (["receit"], "usage: ./market ", "did you mean receipt?"),
    ],
)
def test_what_is_wrong_is_told_with_the_usage_of_the_very_command(
    words: list[str], usage: str, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, said = ended(capsys, *words)
    assert code == exits.USAGE
    assert said.startswith(usage)
    assert hint in said
    assert said.splitlines()[-1].startswith("See ./market ")


def test_what_a_market_refuses_is_told_in_the_words_of_the_options(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:

    def refuse(*_: object) -> NoReturn:
        errors = {"memory_size": ["must be from 1024 to 4194304"]}
        raise MarketApiError("POST", "/machines", 422, {"title": "Invalid input", "errors": errors})

    monkeypatch.setattr(share, "run", refuse)
    words = ["share", "--cores", "1", "--memory", "512m", "--type", "cpu", "--hours", "1"]
    assert launcher.main(words) == 1
    assert capsys.readouterr().err == "market: --memory: must be from 1g to 4096g\n"
