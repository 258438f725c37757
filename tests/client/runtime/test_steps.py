"""Steps of an installation: each once, and again when what it was made from changes."""

from __future__ import annotations

import os
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
    system.require([Package("there", "", lambda: True)])
    assert not list((tmp_path / "stamps").glob("*"))


def test_a_command_that_fails_says_where_its_words_are(tmp_path: Path) -> None:
    words = ["sh", "-c", "echo why; exit 3"]
    with pytest.raises(SetupError, match="a test failed with exit code 3: see its message above"):
        command(words, "a test")
    with pytest.raises(SetupError, match=f"exit code 3: see {tmp_path}/log"):
        command(words, "a test", tmp_path / "log")
    assert (tmp_path / "log").read_text() == "why\n"
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
