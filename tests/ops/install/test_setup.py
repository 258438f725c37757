"""Setup: what the stack lacks, and which of two environments serves for what."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from distributedmarket.runtime import system
from distributedmarket.runtime.steps import Step
from market.kit import settings
from market.ops.install import install_steps, setup
from market.ops.install.install_steps import ENVIRONMENT, TEST_ENVIRONMENT


@pytest.fixture
def paths(tmp_path: Path) -> settings.Paths:
    return settings.Paths(root=settings.ROOT, installs=tmp_path, state=tmp_path / "state")


@pytest.fixture
def ran(paths: settings.Paths, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the steps that were carried out; each only writes its name."""
    done: list[str] = []

    def steps(_: settings.Paths, for_tests: bool = False) -> list[Step]:
        name, other = (TEST_ENVIRONMENT, ENVIRONMENT) if for_tests else (ENVIRONMENT, TEST_ENVIRONMENT)
        lock = b"with tools" if for_tests else b"plain"
        return [
            Step("tools", "", lambda: [b"1"], lambda: done.append("tools")),
            Step(name, "", lambda: [lock], lambda: done.append(name), undoes=(other,)),
        ]

    monkeypatch.setattr(setup, "steps", steps)
    monkeypatch.setattr(system, "lacking", lambda packages: [])
    return done


def test_each_step_is_done_once(paths: settings.Paths, ran: list[str]) -> None:
    assert setup.run(paths)
    assert not setup.run(paths)
    assert ran == ["tools", ENVIRONMENT]


def test_a_stack_that_tests_start_leaves_them_their_tools(paths: settings.Paths, ran: list[str]) -> None:
    setup.run(paths, for_tests=True)
    assert not setup.run(paths)
    assert ran == ["tools", TEST_ENVIRONMENT]


def test_the_tools_are_added_where_only_the_stack_was_set_up(paths: settings.Paths, ran: list[str]) -> None:
    setup.run(paths)
    setup.run(paths, for_tests=True)
    assert ran == ["tools", ENVIRONMENT, TEST_ENVIRONMENT]


def test_the_real_steps_have_names_of_their_own(paths: settings.Paths) -> None:
    names = [step.name for step in install_steps.steps(paths, for_tests=True)]
    assert len(names) == len(set(names))


def test_what_debian_is_to_provide_depends_on_who_sets_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def names(uid: int, for_tests: bool, realm: bool = False) -> list[str]:
        monkeypatch.setattr(os, "geteuid", lambda: uid)
        return [package.name for package in setup.packages(for_tests, realm)]

    assert names(0, False) == ["openjdk-17-jdk-headless", "maven"]
    assert names(1000, False) == ["openjdk-17-jdk-headless", "maven", "bubblewrap"]
    served = ["krb5-kdc", "krb5-admin-server"]
    assert names(0, False, realm=True)[2:] == served
    looked_with = ["prometheus", "chromium", "chromium-driver", "npm"]
    assert names(0, True)[2:] == ["bubblewrap", *served, "krb5-user", *looked_with]
