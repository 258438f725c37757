"""Environments of packages: built by the real uv from an index of this host, kept, and found again."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from package_index import Index, index

from market.cluster.errors import ClusterRefused, HdfsNotFound
from market.cluster.hdfs import FileStatus, Hdfs
from market.hadoop import paths
from market.jobs.submission import environment_build, environments
from market.kit import clock, settings
from market.kit.errors import ConflictError
from market.ops.run import submitter


class Files(Hdfs):
    """An HDFS in memory."""

    def __init__(self) -> None:
        self.held: dict[str, bytes] = {}

    def status(self, path: str) -> FileStatus | None:
        return FileStatus("", len(self.held[path]), False, 0, "644", "market") if path in self.held else None

    def read(self, path: str) -> bytes:
        if path not in self.held:
            raise HdfsNotFound(path)
        return self.held[path]

    def create(self, path: str, chunks: Iterable[bytes], overwrite: bool = True) -> None:
        self.held[path] = b"".join(chunks)

    def set_permission(self, path: str, permission: str) -> None:
        assert permission == "644"

    def rename(self, path: str, target: str) -> None:
        if target in self.held:
            raise ClusterRefused(target)
        self.replace(path, target)

    def replace(self, path: str, target: str) -> None:
        self.held[target] = self.held.pop(path)

    def delete(self, path: str, recursive: bool = False) -> bool:
        return self.held.pop(path, None) is not None


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch) -> Files:
    made = Files()
    monkeypatch.setattr(environments, "hdfs", lambda: made)
    return made


@pytest.fixture
def packages() -> Iterator[Index]:
    with index() as made:
        made.wheel("probe", "1.0", {"probe/__init__.py": "WORD = 'one'\n"}, requires="runtimes")
        made.wheel("probe", "2.0", {"probe/__init__.py": "WORD = 'two'\n"}, requires="runtimes")
        made.wheel("runtimes", "1.5", {"runtimes.py": ""})
        made.wheel("runtimes", "3.0", {"runtimes.py": ""})
        yield made


@pytest.fixture
def limit(tmp_path: Path, packages: Index, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that changes the settings of a stack whose runtime has one package."""
    loaded = settings.load()
    runtime = tmp_path / "installs" / "runtime"
    about = runtime / "lib" / f"python3.{sys.version_info.minor}" / "site-packages" / "runtimes-1.5.dist-info"
    about.mkdir(parents=True)
    (runtime / "bin").mkdir()
    (runtime / "bin" / "python").symlink_to(Path(sys.executable).resolve())
    (tmp_path / "installs" / "tools").symlink_to(loaded.paths.tools.resolve())
    (tmp_path / "state" / "run").mkdir(parents=True)
    (tmp_path / "state" / "secrets").mkdir()
    (tmp_path / "state" / "secrets" / "word").write_text("swordfish")
    stack = replace(
        loaded, paths=replace(loaded.paths, installs=tmp_path / "installs", state=tmp_path / "state")
    )

    def change(**changes: Any) -> None:
        jobs = replace(stack.jobs, package_index=packages.address, **changes)
        monkeypatch.setattr(settings, "load", lambda: replace(stack, jobs=jobs))

    change()
    return change


def build(lines: list[str], wanted: Callable[[], bool] = lambda: True) -> list[str]:
    said: list[str] = []
    environment_build.build(lines, said.append, wanted)
    return said


def unpacked(files: Files, place: str) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(files.held[place])) as archive:
        members = {member.name: archive.extractfile(member) for member in archive if member.isfile()}
    return {name: content.read() for name, content in members.items() if content}


@pytest.mark.usefixtures("limit")
def test_what_is_built_is_found_with_its_modules_compiled(files: Files) -> None:
    assert environments.found(["probe"]) is None
    said = build(["probe"])
    place = environments.found(["probe"])
    assert place
    held = unpacked(files, place)
    assert held["probe/__init__.py"] == b"WORD = 'two'\n"
    assert any(name.startswith("probe/__pycache__/") for name in held)
    assert not any("runtimes" in name for name in held), "the runtime's own does: its version is preferred"
    assert any("+ probe==2.0" in line for line in said)


@pytest.mark.usefixtures("limit")
def test_another_version_than_the_runtime_s_goes_along(files: Files) -> None:
    build(["probe", "runtimes>=2"])
    assert "runtimes.py" in unpacked(files, environments.found(["probe", "runtimes>=2"]) or "")


@pytest.mark.usefixtures("limit")
def test_what_the_runtime_has_needs_no_archive(files: Files) -> None:
    build(["runtimes"])
    assert environments.found(["runtimes"]) == ""
    assert not [path for path in files.held if path.endswith(".tar")]


@pytest.mark.usefixtures("limit")
def test_lists_that_mean_the_same_share_what_is_built(files: Files, packages: Index) -> None:
    build(["probe==2.0"])
    fetched = packages.asked.count("GET /files/probe-2.0-py3-none-any.whl")
    said = build(["probe>1"])
    assert environments.found(["probe>1"]) == environments.found(["probe==2.0"])
    assert len([path for path in files.held if path.endswith(".tar")]) == 1
    assert fetched
    assert not any("+ probe" in line for line in said), "it is resolved anew, and not installed"


@pytest.mark.usefixtures("limit")
def test_versions_are_looked_for_again_after_a_day_and_a_lock_never(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(["probe"])
    told = json.loads(files.held[paths.environment_asked(environments.asked_name(["probe"]))])
    lock = told["packages"]
    environments.store(lock, lock, None)
    later = clock.now_ms() + 25 * 3600 * 1000
    monkeypatch.setattr(environments, "now_ms", lambda: later)
    assert environments.found(["probe"]) is None
    assert environments.found(lock)


@pytest.mark.usefixtures("limit")
def test_an_archive_that_has_gone_is_built_again(files: Files) -> None:
    build(["probe"])
    del files.held[environments.found(["probe"]) or ""]
    assert environments.found(["probe"]) is None
    build(["probe"])
    assert environments.found(["probe"])


@pytest.mark.usefixtures("limit")
def test_what_is_not_there_is_told_in_uv_s_words(files: Files, tmp_path: Path) -> None:
    with pytest.raises(ConflictError, match=r"cannot be had: error: No solution found .*probe==9"):
        build(["probe==9"])
    assert not files.held
    assert not list((tmp_path / "state" / "run" / "environments").glob("build-*"))


@pytest.mark.usefixtures("limit")
def test_no_code_of_a_package_runs(packages: Index, files: Files, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    packages.source("evil", "1.0", f"open({str(mark)!r}, 'w').write('x')\n")
    with pytest.raises(ConflictError, match=r"evil"):
        build(["evil"])
    trap = f"open({str(mark)!r}, 'w').write('x')\n"
    packages.wheel(
        "trap", "1.0", {"trap/__init__.py": trap, "sitecustomize.py": trap, "trap.pth": f"import os; {trap}"}
    )
    build(["trap"])
    assert not mark.exists()


@pytest.mark.usefixtures("limit")
def test_the_sandbox_shows_no_state_of_the_market(tmp_path: Path) -> None:
    work = tmp_path / "state" / "run" / "work"
    work.mkdir()
    words = environment_build._sandbox(work)
    assert words[0] == "bwrap", "this host has no bubblewrap"
    script = f"cat {tmp_path}/state/secrets/word; ls -A {tmp_path}/state; touch mine && ls; env"
    shown = subprocess.run(
        [*words, "sh", "-c", script],
        capture_output=True,
        text=True,
        cwd=work,
        env=environment_build._variables(work),
    )
    assert "swordfish" not in shown.stdout
    assert shown.stdout.split()[:2] == ["run", "mine"]
    assert "AIRFLOW" not in shown.stdout


def test_without_a_sandbox_nothing_is_built_and_status_says_so(
    limit: Callable[..., None], packages: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "bwrap").write_text("#!/bin/sh\necho 'error: no namespaces' >&2\nexit 1\n")
    (tmp_path / "bin" / "bwrap").chmod(0o755)
    assert environment_build.problem() == ""
    for path in (f"{tmp_path}/bin:/bin", str(tmp_path)):
        monkeypatch.setenv("PATH", path)
        with pytest.raises(environment_build.NoSandboxError, match="bubblewrap does not work here"):
            build(["probe"])
        monkeypatch.setattr(submitter.warm_submitter, "status", lambda _: "submitted 1")
        assert "no packages are fetched for jobs: bubblewrap" in submitter.note(settings.load())
    assert packages.asked == []


def test_what_is_too_large_is_refused(limit: Callable[..., None], packages: Index, files: Files) -> None:
    limit(environment_mib=16)
    packages.wheel("large", "1.0", {f"large{number}.bin": "0" * (1 << 20) for number in range(17)})
    with pytest.raises(ConflictError, match="may have 16 MiB"):
        build(["large"])
    packages.wheel("huge", "1.0", {f"huge{number}.bin": "0" * (8 << 20) for number in range(40)})
    with pytest.raises(ConflictError, match="MiB"):
        build(["huge"])
    assert not files.held


def test_it_ends_in_time_and_when_nobody_wants_it(limit: Callable[..., None], files: Files) -> None:
    limit(environment_timeout_s=0)
    with pytest.raises(ConflictError, match="within 0 s"):
        build_with_slow_uv()
    limit()
    with pytest.raises(ConflictError, match="was stopped"):
        build_with_slow_uv(wanted=lambda: False)
    assert not files.held


def build_with_slow_uv(wanted: Callable[[], bool] = lambda: True) -> None:
    """Build with an index that never answers."""
    slow = threading.Event()
    with index() as silent:
        silent.page = lambda name: slow.wait(5) and None  # type: ignore[assignment, method-assign, func-returns-value]
        loaded = settings.load()
        patched = replace(loaded, jobs=replace(loaded.jobs, package_index=silent.address))
        before, settings.load = settings.load, lambda *_: patched  # type: ignore[assignment]
        try:
            build(["probe"], wanted)
        finally:
            settings.load = before
            slow.set()


@pytest.mark.usefixtures("limit")
def test_one_builds_and_the_others_hear_why_it_failed() -> None:
    began = clock.now_ms()
    with environments.turn(["probe"]) as mine:
        assert mine
        assert environments.is_building(["probe"])
        with environments.turn(["probe"]) as other:
            assert not other
    assert not environments.is_building(["probe"])
    environments.failed(["probe"], "no such package")
    assert environments.failure_since(["probe"], began) == "no such package"
    assert environments.failure_since(["probe"], clock.now_ms() + 1) is None
    assert environments.failure_since(["other"], began) is None
