"""A service is put in another one's place under the process manager, and nothing else ends for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from supervised import process_manager, release, service, until

from market.kit.settings import Settings
from market.ops.python_path import python_path
from market.ops.run.supervisor import Supervisor


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Settings]:
    with process_manager(tmp_path) as made:
        yield made


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
    assert python_path(tmp_path / "new") in (stack.paths.conf / "supervisord.conf").read_text()
