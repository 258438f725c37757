"""Environments lie side by side: who runs in one keeps it, whatever is installed next."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from distributedmarket.runtime import aside, python
from distributedmarket.runtime.places import Places
from market.kit import settings


@pytest.fixture
def places(tmp_path: Path) -> Places:
    (tmp_path / "tools").symlink_to(settings.load().paths.tools.resolve())
    return Places(installs=tmp_path, state=tmp_path / "state")


def lock(folder: Path, text: str) -> Path:
    """Write a lock that names the client as setup has packed it, and a comment that makes it another."""
    wheel = next(settings.load().paths.client_package.resolve().glob("*.whl"))
    path = folder / "requirements.txt"
    path.write_text(f"distributedmarket @ {wheel.as_uri()}\n# {text}\n")
    return path


def test_the_next_environment_is_made_beside_the_one_in_use(places: Places, tmp_path: Path) -> None:
    link = tmp_path / "agent-env"
    first = python.environment(places, link, [lock(tmp_path, "first")])
    assert not link.exists(), "nobody starts from what may lack something yet"
    aside.use(link, first)
    words = [str(link / "bin" / "python"), "-c", "print('up', flush=True); input(); import distributedmarket"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()
        second = python.environment(places, link, [lock(tmp_path, "second")])
        aside.use(link, second)
        process.communicate("go on\n")
    assert process.returncode == 0
    assert first != second
    assert aside.real(link) == second
    for one in (first, second):
        assert next(one.glob("lib/python3*/site-packages/distributedmarket")).is_dir()
    assert python.environment(places, link, [lock(tmp_path, "first")]) == first, "it is there already"


def test_a_link_is_followed_one_step(tmp_path: Path) -> None:
    disk, made = tmp_path / "disk", tmp_path / "by-digest"
    disk.mkdir()
    made.symlink_to(disk)
    (made / "runtime-1").mkdir()
    aside.use(tmp_path / "runtime", made / "runtime-1")
    assert aside.real(tmp_path / "runtime") == made / "runtime-1"
    assert aside.real(made / "runtime-1") == made / "runtime-1"
    assert Places(installs=tmp_path, state=tmp_path).runtime == made / "runtime-1"
