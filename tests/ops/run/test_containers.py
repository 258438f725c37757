"""In a container of the image the engine starts and stops the services, and `./market` leaves them to it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from market.kit import settings
from market.ops.python_path import python_path
from market.ops.run import lifecycle
from market.ops.run.services import all_services

DOCKERFILE = (settings.ROOT / "Dockerfile").read_text()


@pytest.fixture
def inside(tmp_path: Path) -> dict[str, str]:
    """Return the environment of a process in a container, with a state folder that nobody has touched."""
    return os.environ | {
        "MARKET_CONTAINER": "1",
        "MARKET_STATE_DIR": str(tmp_path),
        "PYTHONPATH": python_path(settings.ROOT),
    }


@pytest.mark.parametrize(
    ("words", "instead"),
    [
        (["down", "--force"], "down"),
        (["restart", "api-server"], "restart api-server"),
        (["logs", "pool"], "logs pool"),
        (["reset", "--yes"], "down --volumes"),
    ],
)
def test_what_the_engine_does_is_refused_with_its_command(inside, tmp_path, words, instead):
    command = [sys.executable, "-m", "market.ops.cli", *words]
    done = subprocess.run(command, env=inside, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert f"on their host, use docker compose {instead}\n" in done.stderr
    assert not list(tmp_path.iterdir())


def test_nothing_is_begun_by_up(monkeypatch, tmp_path):
    monkeypatch.setenv("MARKET_CONTAINER", "1")
    here = settings.load(tmp_path)
    with pytest.raises(Exception, match="use docker compose up --detach"):
        lifecycle.up(here, lambda title: pytest.fail(title), pytest.fail)
    assert not list(tmp_path.iterdir())


def test_status_asks_the_services_themselves_where_nothing_supervises_them(monkeypatch, tmp_path):
    here = settings.load(tmp_path)
    assert all("not supervised" in health.detail for health in lifecycle.status(here))
    monkeypatch.setenv("MARKET_CONTAINER", "1")
    told = {health.name: health.detail for health in lifecycle.status(here)}
    assert set(told) == {service.name for service in all_services(here)}
    assert not [name for name, detail in told.items() if "not supervised" in detail]


def test_the_image_has_the_mark():
    assert re.search(r"^ENV MARKET_CONTAINER=1\b", DOCKERFILE, re.MULTILINE)


def test_what_setup_reads_is_copied_before_it_runs():
    """So that a commit which changes none of it leaves the layer that takes minutes as it is."""
    before = DOCKERFILE[: DOCKERFILE.index("RUN ./market setup")]
    copied = re.findall(r"^COPY --chown=market (.+) \S+$", before, re.MULTILINE)
    patterns = [pattern for line in copied for pattern in line.split()]
    there = {path for pattern in patterns for path in settings.ROOT.glob(pattern)}
    program = (
        "import sys, market.ops.cli.__main__ as m, market.ops.install.install_steps as s, pathlib\n"
        "from market.kit import settings\n"
        "from market.ops.install import setup\n"
        "opened = []\n"
        "sys.addaudithook(lambda event, given: opened.append(given[0]) if event == 'open' else None)\n"
        "paths = settings.load().paths\n"
        "[list(step.inputs()) for step in s.steps(paths)]\n"
        "files = [getattr(module, '__file__', None) for module in sys.modules.values()] + opened\n"
        "print(*{str(file) for file in files if str(file).startswith(str(settings.ROOT))}, sep='\\n')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"PYTHONPATH": python_path(settings.ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    read = {Path(line) for line in done.stdout.splitlines()}
    read = {path for path in read if ".market" not in path.parts and path.suffix != ".pyc"}
    assert settings.ROOT / "requirements.txt" in read
    assert not {path for path in read if not there & {path, *path.parents}}
