from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from market.kit import settings
from market.ops.install import class_data, install_steps, setup
from market.ops.install.install_steps import ENVIRONMENT, TEST_ENVIRONMENT, Step
from market.ops.install.shell import SetupError, command


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


def test_a_machine_s_steps_are_some_of_the_stack_s_and_not_airflow(paths: settings.Paths) -> None:
    stack = {step.name: step for step in install_steps.steps(paths)}
    machine = [*install_steps.agent_steps(paths), *install_steps.machine_steps(paths, lambda file: None)]
    assert [step.name for step in machine] == ["tools", "agent-env", "hadoop", "runtime", "class-data"]
    for step in machine:
        assert list(step.inputs()) == list(stack[step.name].inputs()), step.name


def test_another_way_to_make_the_class_data_archive_makes_it_again(
    paths: settings.Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = next(step for step in install_steps.steps(paths) if step.name == "class-data")
    before = [*step.inputs()]
    other = tmp_path / "class_data.py"
    other.write_text("another way")
    monkeypatch.setattr(class_data, "__file__", str(other))
    step = next(step for step in install_steps.steps(paths) if step.name == "class-data")
    assert [*step.inputs()] != before


def test_hadoop_s_jars_go_from_a_market_to_a_machine(paths: settings.Paths, tmp_path: Path) -> None:
    (paths.hadoop / "jars").mkdir(parents=True)
    (paths.hadoop / "jars" / "yarn.jar").write_bytes(b"jar")
    (paths.hadoop / "classes").mkdir()
    made = {step.name: step for step in install_steps.steps(paths)}
    assert made["hadoop-archive"].needed()
    made["hadoop-archive"].run()

    other = settings.Paths(root=settings.ROOT, installs=tmp_path / "other", state=tmp_path / "other")
    other.installs.mkdir()
    (other.hadoop / "jars").mkdir(parents=True)
    (other.hadoop / "jars" / "older.jar").write_bytes(b"jar")
    fetched = install_steps.machine_steps(other, lambda file: shutil.copy(paths.hadoop_archive, file))
    next(step for step in fetched if step.name == "hadoop").run()
    assert [path.name for path in (other.hadoop / "jars").iterdir()] == ["yarn.jar"]
    assert [path.name for path in other.installs.iterdir()] == ["hadoop"]


def test_an_answer_that_is_no_archive_is_refused_and_not_kept(paths: settings.Paths) -> None:
    steps = install_steps.machine_steps(paths, lambda file: file.write_text("<html>"))
    with pytest.raises(SetupError, match="no zip file"):
        next(step for step in steps if step.name == "hadoop").run()
    assert list(paths.installs.iterdir()) == []


def test_what_a_machine_runs_imports_nothing_of_the_stack_s(tmp_path: Path) -> None:
    """In a Python that has only the agent's packages, as far as an import tells."""
    program = (
        "import sys, market.ops.cli.share, market.machines.agent, market.cluster.http;"
        " print(*sorted({name.split('.')[0] for name in sys.modules}))"
    )
    said = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": str(settings.ROOT / "plugins"), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert {"market", "requests"} <= set(said.stdout.split())
    assert not {"airflow", "psycopg2", "flask", "fastapi", "marshmallow"} & set(said.stdout.split())


def test_the_real_steps_have_names_of_their_own(paths: settings.Paths) -> None:
    names = [step.name for step in install_steps.steps(paths, for_tests=True)]
    assert len(names) == len(set(names))


def test_a_command_that_fails_says_where_its_words_are(tmp_path: Path) -> None:
    words = ["sh", "-c", "echo why; exit 3"]
    with pytest.raises(SetupError, match="a test failed with exit code 3: see its message above"):
        command(words, "a test")
    with pytest.raises(SetupError, match=f"exit code 3: see {tmp_path}/log"):
        command(words, "a test", tmp_path / "log")
    assert (tmp_path / "log").read_text() == "why\n"
