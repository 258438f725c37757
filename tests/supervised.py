"""A real process manager with small services, each of which writes from which release it was started."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from market.kit import settings
from market.kit.settings import Settings
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


@contextmanager
def process_manager(tmp_path: Path) -> Iterator[Settings]:
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
