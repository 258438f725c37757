"""Services run from a copy of their release: what is pulled or installed next does not reach them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from distributedmarket.errors import SetupError
from distributedmarket.runtime import aside
from market.kit import settings
from market.ops.run import fingerprint, releases, running_release, started_with
from market.ops.run.releases import Release
from market.ops.run.services import all_services


@pytest.fixture
def clone(tmp_path: Path) -> settings.Paths:
    """A small clone, with what setup would have installed."""
    root = tmp_path / "clone"
    for name, text in {
        "plugins/market/part.py": "VALUE = 1\n",
        "plugins/market/__pycache__/part.cpython-311.pyc": "made by Python",
        "sql/schema/0001_first.sql": "CREATE TABLE first ();",
        "config/market.toml": (settings.ROOT / "config" / "market.toml").read_text(),
        "requirements.txt": "airflow==3\n",
        "docs/users.md": "not read by services",
        ".market/hadoop/jars/yarn.jar": "yarn",
        ".market/hadoop/classes/Own.class": "own",
        ".market/submitter.jar": "submitter",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    installs = root / ".market"
    for name in ("airflow-env", "runtime"):
        made = aside.place(installs, name, [b"first"])
        made.mkdir(parents=True)
        (made / "says").write_text("first")
        aside.use(installs / name, made)
    (installs / "runtime" / "pyspark.zip").write_text("pyspark")
    paths = settings.Paths(root=root, installs=installs, state=tmp_path / "state")
    paths.run.mkdir(parents=True)
    return paths


def inside(release: Release, name: str) -> str:
    return (release.folder / name).read_text()


def test_a_release_stays_as_it_was_made(clone: settings.Paths) -> None:
    release = releases.make(clone)
    assert releases.make(clone) == release, "the same clone, the same release"
    (clone.root / "plugins/market/part.py").write_text("VALUE = 2\n")
    new = clone.installs / "hadoop.new"
    (new / "jars").mkdir(parents=True)
    (clone.installs / "hadoop").rename(clone.installs / "gone")
    new.rename(clone.installs / "hadoop")
    jar = clone.installs / "submitter.jar"
    jar.with_suffix(".new").write_text("another")
    jar.with_suffix(".new").rename(jar)
    other = aside.place(clone.installs, "airflow-env", [b"second"])
    other.mkdir()
    (other / "says").write_text("second")
    aside.use(clone.airflow_env, other)

    assert inside(release, "plugins/market/part.py") == "VALUE = 1\n"
    assert inside(release, ".market/hadoop/jars/yarn.jar") == "yarn"
    assert inside(release, ".market/submitter.jar") == "submitter"
    assert inside(release, ".market/shared/pyspark.zip") == "pyspark"
    assert inside(release, ".market/airflow-env/says") == "first"
    next_one = releases.make(clone)
    assert next_one != release
    assert inside(next_one, "plugins/market/part.py") == "VALUE = 2\n"
    assert inside(next_one, ".market/airflow-env/says") == "second"


def test_its_name_says_what_services_read_and_nothing_else(clone: settings.Paths) -> None:
    name = releases.name_of(clone.root)
    (clone.root / "docs/users.md").write_text("other words")
    (clone.root / "plugins/market/__pycache__/part.cpython-311.pyc").write_text("made again")
    assert releases.name_of(clone.root) == name == releases.make(clone).name
    (clone.root / "requirements.txt").write_text("airflow==4\n")
    assert releases.name_of(clone.root) != name


def test_a_stack_that_runs_from_a_release_finds_all_in_it(clone: settings.Paths) -> None:
    release = releases.make(clone)
    paths = release.settings(clone.state).paths
    assert (paths.root, paths.state) == (release.folder, clone.state)
    assert paths.hadoop == release.folder / ".market" / "hadoop"
    # Java takes the archive of its classes for the jars of one path only: that which it was made in.
    assert paths.runtime == clone.runtime == aside.place(clone.installs, "runtime", [b"first"])
    assert paths.origin == clone.origin == clone.installs
    assert releases.make(paths) == release, "its own code starts it again as it is"


def test_current_and_previous_are_kept_and_what_runs(clone: settings.Paths) -> None:
    made = []
    for number in range(5):
        (clone.root / "plugins/market/part.py").write_text(f"VALUE = {number}\n")
        made.append(releases.make(clone))
        releases.use(clone.state, made[-1])
    releases.note(made[1].settings(clone.state).paths, "scheduler", "")
    with running(made[0].folder / "plugins" / "sleeps.py"):
        assert set(releases.discard(clone.state)) == {made[2].name}
    assert releases.current(clone.state) == made[4]
    assert releases.find(clone.state, "previous") == made[3]
    assert releases.find(clone.state, made[1].name[:6]) == made[1]
    assert releases.discard(clone.state) == [made[0].name]
    with pytest.raises(SetupError, match=f"no release is called nowhere; there are: .*{made[3].name}"):
        releases.find(clone.state, "nowhere")


class running:  # noqa: N801 - used as a function
    """A process that was started from a file."""

    def __init__(self, file: Path) -> None:
        file.write_text("import time\nprint('up', flush=True)\ntime.sleep(60)\n")
        self._words = [sys.executable, str(file)]

    def __enter__(self) -> None:
        self._process = subprocess.Popen(self._words, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        self._process.stdout.readline()

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()


def test_a_folder_of_before_is_not_replaced_under_who_runs_from_it(tmp_path: Path) -> None:
    old, new = tmp_path / "airflow-env", tmp_path / aside.FOLDER / "airflow-env-1"
    old.mkdir()
    new.mkdir(parents=True)
    with running(old / "serves.py"):
        with pytest.raises(SetupError, match=f"{old} is to be replaced, and 1 process.*market down"):
            aside.use(old, new)
        assert not old.is_symlink()
    aside.use(old, new)
    assert aside.real(old) == new


@pytest.fixture
def started(clone: settings.Paths) -> settings.Settings:
    """The clone's stack, as noted when its services were started."""
    loaded = settings.load(clone.state, clone.root)
    return loaded


def test_up_and_status_say_when_what_runs_is_not_what_the_clone_has(started: settings.Settings) -> None:
    paths = started.paths
    name = releases.name_of(paths.root)
    assert running_release.look(started).told == f"{name} (nothing runs)"
    started_with.note(started)
    before = running_release.look(started)
    assert before.in_place
    assert before.differs
    assert "./market down && ./market up" in before.told

    release = releases.make(paths)
    releases.use(paths.state, release)
    for service in ("scheduler", "pool"):
        releases.note(release.settings(paths.state).paths, service, "")
    same = running_release.look(started)
    assert (same.told, same.differs) == (name, False)

    (paths.root / "plugins/market/part.py").write_text("VALUE = 2\n")
    after = running_release.look(started)
    assert after.told == f"{name} runs; this clone has {after.clone}: ./market upgrade"
    assert after.as_json()["up_to_date"] is False
    newer = releases.make(paths)
    releases.use(paths.state, newer)
    releases.note(newer.settings(paths.state).paths, "scheduler", "")
    half = running_release.look(started)
    assert not half.elsewhere, "this clone's release is the one that is kept up"
    assert half.told == f"{name} runs (pool); this clone has {newer.name}: ./market upgrade"
    releases.forget(paths.state)
    assert os.listdir(paths.run) == ["settings.json"]


def test_a_service_that_would_be_started_from_the_same_runs_on(clone: settings.Paths) -> None:
    def seen(root: Path, name: str) -> str:
        loaded = settings.load(clone.state, root)
        return fingerprint.of(loaded, next(one for one in all_services(loaded) if one.name == name))

    (clone.state / "run" / "ports.json").write_text("{}")
    first = releases.make(clone)
    own = {name: seen(first.folder, name) for name in ("namenode", "scheduler", "postgres", "spark-history")}
    assert {name: seen(clone.root, name) for name in own} == own, "as a clone says it beforehand"
    (clone.root / "plugins/market/part.py").write_text("VALUE = 2\n")
    second = releases.make(clone)
    changed = {name for name, value in own.items() if seen(second.folder, name) != value}
    assert changed == {"scheduler"}
    new = clone.installs / "hadoop" / "classes" / "Own.class"
    new.with_suffix(".new").write_text("another")
    new.with_suffix(".new").rename(new)
    (clone.root / "plugins/market/part.py").write_text("VALUE = 3\n")
    third = releases.make(clone)
    assert {name for name, value in own.items() if seen(third.folder, name) != value} == {
        "scheduler",
        "namenode",
    }

    paths = first.settings(clone.state).paths
    releases.note(paths, "namenode", own["namenode"])
    releases.agree(second.settings(clone.state).paths, "namenode")
    noted = releases.of_services(clone.state)["namenode"]
    # The process manager would start it from the first one again, which is kept for that.
    assert (noted.release, noted.like, noted.fingerprint) == (first.name, second.name, own["namenode"])
    releases.use(clone.state, second)
    releases.use(clone.state, third)
    assert releases.discard(clone.state) == []
