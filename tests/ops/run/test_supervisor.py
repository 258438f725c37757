"""A service is put in another one's place under the process manager, and nothing else ends for it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from market.kit import settings
from market.kit.settings import Settings
from market.ops.run import supervisor as module
from market.ops.run.services import Service
from market.ops.run.supervisor import Supervisor

SERVES = """
import sys, time
from pathlib import Path
Path({state!r}, sys.argv[1]).write_text("{version}")
time.sleep(600)
"""


def service(name: str) -> Service:
    return Service(name, 1, None, lambda _: [], lambda _: "", lambda _: {})


def release(stack: Settings, folder: Path, version: str) -> Settings:
    """Return the stack's settings in a root whose services write their version."""
    run = folder / "plugins" / "market" / "ops" / "run"
    run.mkdir(parents=True)
    for package in (run, run.parent, run.parent.parent):
        (package / "__init__.py").touch()
    (run / "serve.py").write_text(SERVES.format(state=str(stack.paths.state), version=version))
    (folder / ".market").mkdir()
    (folder / ".market" / "airflow-env").symlink_to(settings.load().paths.airflow_env)
    paths = replace(stack.paths, root=folder, installs=folder / ".market")
    return replace(stack, paths=paths)


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Settings]:
    loaded = settings.load()
    # A socket's path may have 107 characters.
    state = tmp_path / "s"
    paths = replace(loaded.paths, state=state)
    for folder in (paths.run, paths.conf, paths.logs):
        folder.mkdir(parents=True)
    stack = replace(loaded, paths=paths)
    yield stack
    if Supervisor(stack).running():
        Supervisor(stack).shutdown()


def until(stack: Settings, name: str, text: str) -> None:
    file = stack.paths.state / name
    deadline = time.monotonic() + 20
    while not file.exists() or file.read_text() != text:
        assert time.monotonic() < deadline, f"{name} does not say {text}"
        time.sleep(0.05)


def test_one_service_after_the_other_moves_to_the_next_release(stack: Settings, tmp_path: Path) -> None:
    old = release(stack, tmp_path / "old", "old")
    supervisor = Supervisor(replace(old, paths=replace(old.paths, installs=stack.paths.installs)))
    supervisor.launch([service("api"), service("meter"), service("gone")])
    for name in ("api", "meter", "gone"):
        supervisor.start(name)
        until(stack, name, "old")
    kept = supervisor.states()["meter"]["pid"]

    supervisor = Supervisor(release(stack, tmp_path / "new", "new"))
    supervisor.configure([service("api"), service("meter"), service("added")])
    assert {one["pid"] for one in supervisor.states().values()} >= {kept}, "what runs goes on"
    supervisor.replace("api")
    supervisor.replace("added")
    supervisor.remove("gone")
    until(stack, "api", "new")
    until(stack, "added", "new")
    states = supervisor.states()
    assert set(states) == {"api", "meter", "added"}
    assert states["meter"]["pid"] == kept
    assert (stack.paths.state / "meter").read_text() == "old"
    assert module.python_path(tmp_path / "new") in (stack.paths.conf / "supervisord.conf").read_text()
