"""The floors of the house (pyproject.toml): a mistake put in on purpose is refused, and named."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from market.kit import settings

LINT = Path(sys.executable).with_name("lint-imports")
# contract -> a file, and the line that is put into it
MISTAKES = {
    "floors": ("credits/tariff.py", "from market.people import members"),
    "jobs-floors": ("jobs/submission/submission_lock.py", "from market.jobs.intake import program"),
    "no-circles": ("kit/money.py", "from market.kit import errors"),
    "no-airflow-below": ("people/homes.py", "from airflow.sdk import DAG"),
    "no-airflow-in-web": ("web/pages/text.py", "from airflow.api_fastapi.app import get_auth_manager"),
    "no-client-in-the-server": ("machines/registry.py", "from distributedmarket.agent import host"),
    "words-of-people": ("machines/hours.py", "from market.people.schemas import USERNAME"),
    "words-of-credits": ("jobs/grid.py", "from market.credits.schemas import GrantSchema"),
}
# Mistakes of the same kind in other places: (contract, file, line).
FURTHER = [
    ("floors", "jobs/intake/submit.py", "from market.machines.queries import is_offered"),
    ("floors", "credits/price.py", "def hidden() -> None:\n    from market.people import members"),
    ("floors", "metering/usage.py", "from market.jobs.spec import JobSpec"),
    ("floors", "hadoop/site.py", "from market.cluster.hdfs import Hdfs"),
    ("floors", "machines/roster.py", "from market.ops.python_path import python_path"),
    ("floors", "web/api/health.py", "from market.ops.run.services import all_services"),
    ("no-airflow-below", "ops/cli/settle.py", "from market.airflow.settlement import freeze"),
]


def contracts() -> list[str]:
    found = tomllib.loads((settings.ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    return [contract["id"] for contract in found["contracts"]]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the package and of the contracts."""
    folder = tmp_path_factory.mktemp("house")
    skipped = shutil.ignore_patterns("__pycache__", "static", "templates")
    shutil.copytree(settings.ROOT / "plugins" / "market", folder / "market", ignore=skipped)
    shutil.copy(settings.ROOT / "pyproject.toml", folder)
    return folder


def linted(house: Path, contract: str) -> subprocess.CompletedProcess[str]:
    command = [str(LINT), "--no-logo", "--cache-dir", str(house / "cache"), "--contract", contract]
    variables = {**os.environ, "PYTHONPATH": str(house)}
    return subprocess.run(command, cwd=house, env=variables, capture_output=True, text=True, timeout=120)


def test_every_contract_has_its_mistake() -> None:
    assert sorted(MISTAKES) == sorted(contracts())


@pytest.mark.parametrize(
    ("contract", "file", "line"),
    [*((contract, *mistake) for contract, mistake in MISTAKES.items()), *FURTHER],
    ids=lambda value: value if value in MISTAKES else None,
)
def test_a_mistake_is_refused(house: Path, contract: str, file: str, line: str) -> None:
    path = house / "market" / file
    whole = path.read_text()
    try:
        path.write_text(f"{whole}\n{line}\n")
        done = linted(house, contract)
    finally:
        path.write_text(whole)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "1 broken" in done.stdout
    room, name = f"market.{file.removesuffix('.py').replace('/', '.')}".rsplit(".", 1)
    assert room in done.stdout
    assert f".{name} ->" in done.stdout


def test_without_a_mistake_nothing_is_refused(house: Path) -> None:
    done = linted(house, contracts()[0])
    assert done.returncode == 0, done.stdout + done.stderr
