"""Steps of an installation: each once, and again when what it was made from changes."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest

from distributedmarket.errors import SetupError
from distributedmarket.runtime import java, steps, system
from distributedmarket.runtime.shell import command
from distributedmarket.runtime.steps import Step, carry_out
from distributedmarket.runtime.system import Package


def step(name: str, ran: list[str], content: bytes = b"1", undoes: tuple[str, ...] = ()) -> Step:
    return Step(name, "", lambda: [content], lambda: ran.append(name), undoes=undoes)


def test_each_step_is_done_once_and_again_with_other_inputs(tmp_path: Path) -> None:
    ran: list[str] = []
    assert carry_out(tmp_path, [], lambda: [step("a", ran), step("b", ran)], 0)
    assert not carry_out(tmp_path, [], lambda: [step("a", ran), step("b", ran)], 0)
    assert carry_out(tmp_path, [], lambda: [step("a", ran), step("b", ran, b"2")], 0)
    assert ran == ["a", "b", "b"]


def test_an_interrupted_installation_goes_on_where_it_was(tmp_path: Path) -> None:
    ran: list[str] = []
    broken = Step("b", "", lambda: [b"1"], lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        carry_out(tmp_path, [], lambda: [step("a", ran), broken], 0)
    carry_out(tmp_path, [], lambda: [step("a", ran), step("b", ran)], 0)
    assert ran == ["a", "b"]


def test_what_a_step_undoes_is_done_again(tmp_path: Path) -> None:
    ran: list[str] = []
    carry_out(tmp_path, [], lambda: [step("a", ran), step("b", ran)], 0)
    carry_out(tmp_path, [], lambda: [step("a", ran, b"2", undoes=("b",)), step("b", ran)], 0)
    carry_out(tmp_path, [], lambda: [step("a", ran, b"2", undoes=("b",)), step("b", ran)], 0)
    assert ran == ["a", "b", "a", "b"]


def test_too_little_space_is_told_before_anything_is_done(tmp_path: Path) -> None:
    ran: list[str] = []
    with pytest.raises(SetupError, match="make room"):
        carry_out(tmp_path, [], lambda: [step("a", ran)], 1 << 20)
    assert ran == []


def test_a_missing_package_is_named_with_its_reason_and_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    missing = Package("thing", "things are needed", lambda: False)
    with pytest.raises(
        SetupError, match=r"lacks thing \(thing: things are needed\). Run: sudo apt-get install"
    ):
        carry_out(tmp_path, [missing], list, 0)
    assert system.lacking([Package("there", "", lambda: True)]) == []
    assert not list((tmp_path / "stamps").glob("*"))


def said(name: str, script: str, about_s: int = 1, mib: int = 0) -> Step:
    """Return a step that runs a shell's script, as the real ones run their tools."""
    return Step(
        name, name, lambda: [b"1"], lambda: command(["sh", "-c", script], name), about_s=about_s, mib=mib
    )


def test_it_says_first_how_long_and_how_much_and_then_a_line_for_each_step(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Of what the tools say nothing is shown, and no colours where there is no terminal."""
    noise = "printf '\\033[32m + package==1\\033[0m\\n'; echo down >&2"
    carry_out(tmp_path, [], lambda: [said("first", noise, 300, 1024), said("second", noise, 120, 512)], 0)
    shown = capfd.readouterr()
    begin, first, second = shown.err.splitlines()
    assert begin == (
        f"Setting up {tmp_path}: 2 steps, about 7 minutes and 1.5 GiB of disk; "
        f"what the tools say is in {tmp_path}/setup.log"
    )
    assert re.fullmatch(r"  ok 1/2 first \d+\.\d s", first)
    assert re.fullmatch(r"  ok 2/2 second \d+\.\d s", second)
    assert shown.out == ""
    assert (tmp_path / "setup.log").read_text().count("package==1") == 2
    carry_out(tmp_path, [], lambda: [said("third", "echo anew")], 0)
    assert (tmp_path / "setup.log").read_text() == "anew\n"
    carry_out(tmp_path, [], lambda: [said("third", "echo anew")], 0)
    assert "1 step, less than a minute;" in capfd.readouterr().err.splitlines()[0]


def test_of_a_step_that_fails_the_tool_s_last_words_are_shown(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    loud = "seq 1000; printf 'half\\r\\033[31mno such package\\033[0m\\n'; exit 4"
    with pytest.raises(SetupError, match=f"broken failed with exit code 4: see {tmp_path}/setup.log"):
        carry_out(tmp_path, [], lambda: [said("broken", loud)], 0)
    shown = capfd.readouterr().err.splitlines()[1:]
    assert shown == [*(f"      {number}" for number in range(990, 1001)), "      no such package"]


def test_what_debian_lacks_is_told_with_its_reason_and_installed_without_noise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    apt = tmp_path / "apt-get"
    apt.write_text("#!/bin/sh\necho apt-get $1\n")
    apt.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    missing = Package("thing", "things are needed", lambda: False)
    carry_out(tmp_path / "made", [missing], lambda: [said("first", "echo first")], 0)
    lines = capfd.readouterr().err.splitlines()
    assert lines[0] == "This system lacks packages of Debian: thing: things are needed"
    assert re.fullmatch(r"  ok installed thing \d+\.\d s", lines[1])
    assert (tmp_path / "made" / "setup.log").read_text() == "apt-get update\napt-get install\nfirst\n"


def test_in_a_terminal_the_step_that_runs_is_shown_and_its_line_is_taken_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    carry_out(tmp_path, [], lambda: [said("first", "true")], 0)
    shown = capsys.readouterr().err
    assert "  1/1 first ...\r\x1b[K  \x1b[32mok\x1b[0m 1/1 first \x1b[2m" in shown
    monkeypatch.setenv("TERM", "dumb")
    carry_out(tmp_path, [], lambda: [said("second", "true")], 0)
    assert "\x1b" not in capsys.readouterr().err


def test_a_command_that_fails_says_where_its_words_are(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ["sh", "-c", "echo why; exit 3"]
    with pytest.raises(SetupError, match="a test failed with exit code 3: see its message above"):
        command(words, "a test")
    assert capfd.readouterr().out == "why\n"
    with pytest.raises(SetupError, match=f"exit code 3: see {tmp_path}/log"):
        command(words, "a test", tmp_path / "log")
    assert (tmp_path / "log").read_text() == "why\n"
    assert capfd.readouterr().err == "      why\n"
    with pytest.raises(SetupError, match="a test: no-such-program is missing"):
        command(["no-such-program"], "a test")


def test_java_is_told_by_its_version_and_absent_java_by_none(tmp_path: Path) -> None:
    assert java.version() in java.VERSIONS
    assert java.version("no-such-java") is None
    old = tmp_path / "java"
    old.write_text("#!/bin/sh\necho 'openjdk version \"1.8.0_402\"' >&2\n")
    old.chmod(0o755)
    assert java.version(str(old)) == 1


def test_the_stamps_of_earlier_installations_hold(tmp_path: Path) -> None:
    """The digest of a step is that of its inputs, one after the other, and stays so."""
    (tmp_path / "stamps").mkdir()
    (tmp_path / "stamps" / "a").write_text("9c2e4d8fe97d881430de4e754b4205b9c27ce96715231cffc4337340cb110280")
    assert steps.done(tmp_path, step("a", []))
