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
    steps = machine.steps(places_of(paths), lambda file: None, lambda file: False)
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
    fetched = machine.steps(other, lambda file: shutil.copy(paths.hadoop_archive, file), lambda file: False)
    next(step for step in fetched if step.name == "hadoop").run()
    assert [path.name for path in (other.hadoop / "jars").iterdir()] == ["yarn.jar"]
    assert [path.name for path in other.installs.iterdir()] == ["hadoop"]


def test_an_answer_that_is_no_archive_is_refused_and_not_kept(tmp_path: Path) -> None:
    steps = machine.steps(
        Places(tmp_path, tmp_path), lambda file: file.write_text("<html>"), lambda file: False
    )
    with pytest.raises(SetupError, match="no zip file"):
        next(step for step in steps if step.name == "hadoop").run()
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def rehearsed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return what is rehearsed and what is archived from then on, in words; neither starts Java."""
    done: list[str] = []

    def rehearse(runtime: Path, scratch: Path, *_: object) -> None:
        done.append("rehearsed")
        (scratch / "driver.classes").write_text("# written by Java\na/Driver\na/Both\n")
        (scratch / "executor.classes").write_text("a/Both\na/Executor\n")

    def dump(words: list[str], *_: object) -> None:
        given = dict(word.split("=", 1) for word in words if "=" in word)
        done.append(Path(given["-XX:SharedClassListFile"]).read_text())
        Path(given["-XX:SharedArchiveFile"]).write_text("archive")

    monkeypatch.setattr(class_data, "_rehearse", rehearse)
    monkeypatch.setattr(class_data, "command", dump)
    monkeypatch.setattr(class_data, "_clients_of_hadoop", lambda runtime: ["h/Client"])
    monkeypatch.setattr(class_data.java, "version", lambda: 17)
    (tmp_path / "runtime").mkdir()
    return done


def test_setup_rehearses_and_leaves_the_list_for_machines_that_join(
    tmp_path: Path, rehearsed: list[str]
) -> None:
    class_data.make(Places(tmp_path, tmp_path))
    listed = "# Java 17\na/Driver\na/Both\na/Executor\nh/Client\n"
    assert rehearsed == ["rehearsed", listed]
    assert class_data.class_list(tmp_path / "runtime").read_text() == listed
    assert (
        class_data.class_list(tmp_path / "runtime") == settings.Paths(tmp_path, tmp_path, tmp_path).class_list
    )
    assert class_data.archive(tmp_path / "runtime").read_text() == "archive"


@pytest.mark.parametrize(
    ("given", "own"),
    [("# Java 17\nb/Given\n", False), ("# Java 21\nb/Given\n", True), ("<html>", True), (None, True)],
)
def test_a_machine_archives_what_its_market_lists_for_the_same_java(
    tmp_path: Path, rehearsed: list[str], given: str | None, own: bool
) -> None:
    def fetch(file: Path) -> bool:
        if given is not None:
            file.write_text(given)
        return given is not None

    class_data.make(Places(tmp_path, tmp_path), fetch)
    assert (rehearsed[0] == "rehearsed") is own
    assert ("b/Given" in rehearsed[-1]) is not own
    assert class_data.archive(tmp_path / "runtime").exists()
