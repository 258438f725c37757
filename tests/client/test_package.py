"""The client is a package of its own: it knows nothing of the server, and needs little."""

from __future__ import annotations

import ast
import functools
import hashlib
import os
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from distributedmarket import VERSION
from distributedmarket.runtime import release
from market.kit import settings
from market.ops.install import client_package

CLIENT = settings.ROOT / "client"
LOCK = settings.ROOT / "requirements-agent.txt"
MOST_MIB = 15
UV = settings.ROOT / ".market" / "tools" / "bin" / "uv"


def imports(folder: Path) -> Iterator[tuple[Path, str]]:
    """Yield the modules that the files of a folder import, wherever in them."""
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                yield from ((path, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield path, node.module or ""


def test_the_client_imports_nothing_of_the_market() -> None:
    assert not [found for found in imports(CLIENT) if found[1].split(".")[0] == "market"]


def test_what_runs_before_anything_is_installed_needs_only_python() -> None:
    program = "import distributedmarket.runtime.machine, market.ops.install.setup, sys; print(*sys.modules)"
    assert not {"requests", "rich", "marshmallow", "psycopg2"} & loaded_by(program)


def test_what_a_machine_runs_imports_nothing_of_the_stack_s() -> None:
    """In a Python that has only the agent's packages, as far as an import tells."""
    names = loaded_by("import market.ops.cli.share, sys; print(*sys.modules)")
    assert {"market", "requests", "distributedmarket"} <= names
    assert not {"airflow", "psycopg2", "flask", "fastapi", "marshmallow"} & names


def loaded_by(program: str) -> set[str]:
    path = f"{settings.ROOT / 'plugins'}:{CLIENT}"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": path, "PATH": os.defpath},
        capture_output=True,
        text=True,
        check=True,
    )
    return {name.split(".")[0] for name in done.stdout.split()}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the package into an environment of its own; return its Python."""
    assert UV.exists(), "nothing is set up yet: run ./market setup"
    environment = tmp_path_factory.mktemp("installed") / "env"
    python = environment / "bin" / "python"
    variables = {
        **os.environ,
        "UV_CACHE_DIR": str(settings.ROOT / ".market" / "uv-cache"),
        "UV_NO_CONFIG": "1",
    }
    variables.pop("PYTHONPATH", None)
    for words in (
        ["venv", "--python", os.path.realpath(sys.executable), str(environment)],
        ["pip", "install", "--python", str(python), "-c", str(LOCK), str(CLIENT)],
    ):
        done = subprocess.run([str(UV), "-q", *words], env=variables, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    return python


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the file that setup makes of the client."""
    return built(tmp_path_factory.mktemp("package"))


def built(folder: Path) -> Path:
    (folder / "tools").symlink_to(settings.ROOT / ".market" / "tools")
    paths = settings.Paths(root=settings.ROOT, installs=folder, state=folder)
    assert client_package.lacking(paths)
    client_package.build(paths)
    assert not client_package.lacking(paths)
    return next(paths.client_package.glob("*.whl"))


def test_the_file_that_a_market_gives_away_is_whole_and_always_the_same(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as opened:
        names = [name for name in opened.namelist() if not name.endswith("/")]
    packed = {name for name in names if name.startswith("distributedmarket/")}
    sources = {path.relative_to(CLIENT).as_posix() for path in client_package.sources()}
    assert {name for name in sources if name.startswith("distributedmarket/")} == packed
    assert built(tmp_path).read_bytes() == wheel.read_bytes()


def test_pip_fetches_it_from_a_market_and_refuses_another_one(wheel: Path, tmp_path: Path) -> None:
    handler = functools.partial(SimpleHTTPRequestHandler, directory=str(wheel.parent))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/{wheel.name}#sha256="
        pip = [str(UV.with_name("pip")), "download", "--no-deps", "--no-cache-dir", "-d", str(tmp_path)]
        right = hashlib.sha256(wheel.read_bytes()).hexdigest()
        done = subprocess.run([*pip, address + "0" * 64], capture_output=True, text=True)
        assert done.returncode != 0
        assert "DO NOT MATCH THE HASHES" in done.stderr
        assert list(tmp_path.iterdir()) == []
        done = subprocess.run([*pip, address + right], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        server.shutdown()
    assert (tmp_path / wheel.name).read_bytes() == wheel.read_bytes()


def run(python: Path, *words: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(python), *words],
        env={"PATH": os.defpath, "HOME": str(python.parents[2])},
        cwd=python.parents[2],
        capture_output=True,
        text=True,
    )


def test_installed_it_brings_few_packages_and_everything_that_a_machine_needs(installed: Path) -> None:
    program = (
        "import importlib.metadata as metadata\n"
        "from distributedmarket import VERSION, client\n"
        "from distributedmarket.agent import agent, enter, guard\n"
        "from distributedmarket.runtime import class_data, machine, release\n"
        "import os\n"
        "files = [release.LOCK, release.POM, class_data.PROGRAM, guard.__file__, enter.__file__]\n"
        "assert all(map(os.path.exists, files)), files\n"
        "assert metadata.version('distributedmarket') == VERSION\n"
        "print(release.digest(), *sorted(one.name.lower() for one in metadata.distributions()))\n"
    )
    done = run(installed, "-c", program)
    assert done.returncode == 0, done.stderr
    digest, *packages = done.stdout.split()
    assert digest == release.digest()
    assert len(packages) < 15
    assert size_mib(installed) <= MOST_MIB
    assert not [name for name in packages if name.startswith(("apache", "airflow", "psycopg", "flask"))]


def size_mib(python: Path) -> float:
    """Return what the packages take, without what Python compiles of them."""
    files = (path for path in python.parents[1].joinpath("lib").rglob("*") if path.is_file())
    return sum(path.stat().st_size for path in files if path.suffix != ".pyc") / (1 << 20)


def test_installed_it_speaks_to_a_market(installed: Path) -> None:
    program = "from distributedmarket import Market; Market()"
    done = run(installed, "-c", program)
    assert "NotLoggedInError: nobody is logged in: run market login" in done.stderr
    command = installed.with_name("market")
    for words in (["jobs"], ["jobs", "--json"]):
        done = run(command, *words)
        assert (done.returncode, done.stdout) == (3, "")
        assert "nobody is logged in" in done.stderr


def test_installed_it_gives_the_command(installed: Path) -> None:
    command = installed.with_name("market")
    assert run(command, "--version").stdout.strip() == VERSION
    words = ["share", "--cores", "1", "--memory", "1g", "--type", "cpu", "--hours", "1"]
    done = run(command, *words)
    assert (done.returncode, done.stderr) == (
        1,
        "market: to which market? Give --server https://HOST:PORT\n",
    )
    done = run(command, *words, "--server", "http://127.0.0.1:9")
    assert (done.returncode, "who lends?" in done.stderr) == (1, True)
