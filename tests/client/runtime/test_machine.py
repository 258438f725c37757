"""What a machine installs: the same as the stack where both need it, and nothing of Airflow's."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from distributedmarket.errors import SetupError
from distributedmarket.runtime import class_data, machine
from distributedmarket.runtime.places import Places
from market.kit import settings
from market.ops.install import install_steps
from market.ops.install.install_steps import places_of


@pytest.fixture
def paths(tmp_path: Path) -> settings.Paths:
    return settings.Paths(root=settings.ROOT, installs=tmp_path, state=tmp_path / "state")


def test_a_machine_s_steps_are_some_of_the_stack_s_and_not_airflow(paths: settings.Paths) -> None:
    stack = {step.name: step for step in install_steps.steps(paths)}
    steps = machine.steps(places_of(paths), lambda file: None)
    assert [step.name for step in steps] == ["tools", "hadoop", "runtime", "class-data"]
    for step in [*install_steps.agent_steps(paths), *steps]:
        assert list(step.inputs()) == list(stack[step.name].inputs()), step.name


def test_the_stack_and_its_machines_mean_the_same_folders(paths: settings.Paths) -> None:
    places = places_of(paths)
    for name in ("installs", "state", "runtime", "hadoop", "tools"):
        assert getattr(places, name) == getattr(paths, name)


def test_another_way_to_make_the_class_data_archive_makes_it_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = Places(tmp_path, tmp_path)
    before = [*class_data.step(places).inputs()]
    other = tmp_path / "class_data.py"
    other.write_text("another way")
    monkeypatch.setattr(class_data, "__file__", str(other))
    assert [*class_data.step(places).inputs()] != before


def test_hadoop_s_jars_go_from_a_market_to_a_machine(paths: settings.Paths, tmp_path: Path) -> None:
    (paths.hadoop / "jars").mkdir(parents=True)
    (paths.hadoop / "jars" / "yarn.jar").write_bytes(b"jar")
    (paths.hadoop / "classes").mkdir()
    made = {step.name: step for step in install_steps.steps(paths)}
    assert made["hadoop-archive"].needed()
    made["hadoop-archive"].run()

    other = Places(tmp_path / "other", tmp_path / "other")
    (other.hadoop / "jars").mkdir(parents=True)
    (other.hadoop / "jars" / "older.jar").write_bytes(b"jar")
    fetched = machine.steps(other, lambda file: shutil.copy(paths.hadoop_archive, file))
    next(step for step in fetched if step.name == "hadoop").run()
    assert [path.name for path in (other.hadoop / "jars").iterdir()] == ["yarn.jar"]
    assert [path.name for path in other.installs.iterdir()] == ["hadoop"]


def test_an_answer_that_is_no_archive_is_refused_and_not_kept(tmp_path: Path) -> None:
    steps = machine.steps(Places(tmp_path, tmp_path), lambda file: file.write_text("<html>"))
    with pytest.raises(SetupError, match="no zip file"):
        next(step for step in steps if step.name == "hadoop").run()
    assert list(tmp_path.iterdir()) == []
