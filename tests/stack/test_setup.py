from __future__ import annotations

from pathlib import Path

import pytest

from market import settings
from market.stack import installs, setup
from market.stack.installs import ENVIRONMENT, TEST_ENVIRONMENT, Step


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
    monkeypatch.setattr(setup, "_system", lambda packages: None)
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


def test_an_interrupted_setup_goes_on_where_it_was(
    paths: settings.Paths, ran: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = setup.steps(paths)
    broken = [first[0], Step(ENVIRONMENT, "", lambda: [b"plain"], lambda: 1 / 0)]
    with monkeypatch.context() as patched:
        patched.setattr(setup, "steps", lambda paths, for_tests=False: broken)
        with pytest.raises(ZeroDivisionError):
            setup.run(paths)
    setup.run(paths)
    assert ran == ["tools", ENVIRONMENT]


def test_the_real_steps_have_names_of_their_own(paths: settings.Paths) -> None:
    names = [step.name for step in installs.steps(paths, for_tests=True)]
    assert len(names) == len(set(names))
