"""Nothing outlives a machine, and what it must not see it does not see."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from distributedmarket.agent import guard
from distributedmarket.agent import sandbox as sandboxes
from distributedmarket.agent.sandbox import sandbox, weakness

GUARD = [sys.executable, "-I", guard.__file__, "--"]


def until(look, deadline_s: float = 10) -> bool:
    limit = time.monotonic() + deadline_s
    while not look():
        if time.monotonic() > limit:
            return False
        time.sleep(0.05)
    return True


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


def orphan_in(folder: Path) -> int:
    """Return the id of a process that left its session and its parent."""
    assert until(lambda: (folder / "pid").exists() and (folder / "pid").read_text().strip())
    return int((folder / "pid").read_text())


def script(folder: Path, then: str) -> list[str]:
    return ["sh", "-c", f"setsid sh -c 'echo $$ > {folder}/pid; exec sleep 600' & {then}"]


def test_what_a_command_leaves_behind_ends_with_it(tmp_path) -> None:
    then = f"while [ ! -s {tmp_path}/pid ]; do sleep 0.05; done; exit 7"
    process = subprocess.Popen([*GUARD, *script(tmp_path, then)], stdin=subprocess.PIPE)
    assert process.wait(20) == 7
    process.stdin.close()
    assert until(lambda: gone(orphan_in(tmp_path)))


def test_closing_the_input_ends_the_command_and_all_that_it_started(tmp_path) -> None:
    process = subprocess.Popen([*GUARD, *script(tmp_path, "exec sleep 600")], stdin=subprocess.PIPE)
    pid = orphan_in(tmp_path)
    process.stdin.close()
    assert process.wait(20) == 128 + 15
    assert until(lambda: gone(pid))


def test_the_exit_code_is_the_command_s(tmp_path) -> None:
    process = subprocess.Popen([*GUARD, "sh", "-c", "exit 5"], stdin=subprocess.PIPE)
    assert process.wait(20) == 5
    process.stdin.close()


@pytest.fixture
def rooms(tmp_path) -> dict[str, Path]:
    """Make what a machine has, what it reads, and what is not for it."""
    made = {name: tmp_path / "private" / name for name in ("work", "runtime", "machines", "machines/other")}
    for folder in made.values():
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755)
    (made["work"] / "tmp").mkdir()
    (made["runtime"] / "program").write_text("runtime")
    (made["machines/other"] / "file").write_text("another's")
    (tmp_path / "private" / "secret").write_text("secret")
    (tmp_path / "open").write_text("the host's")
    (tmp_path / "private").chmod(0o700)
    return made


def test_a_sandbox_shows_the_runtime_and_hides_the_rest(rooms) -> None:
    box = sandbox(rooms["work"], [rooms["runtime"]], [rooms["machines"]])
    if weakness():  # nothing is hidden here: then that is what people are told, and all of it
        assert box.description in weakness()
        assert "other processes, /tmp" in box.description or "other processes and /tmp" in box.description
        return
    os.chown(rooms["work"], box.uid, box.gid)
    look = f"cat {rooms['runtime']}/program; echo x > {rooms['work']}/mine || echo unwritable; id -u;"
    look += f"cat {rooms['machines']}/other/file {rooms['work'].parent}/secret;"
    look += f"cat {rooms['work'].parents[1]}/open;"
    look += f"touch {rooms['runtime']}/new && echo writable; ls /proc | grep -c '^[0-9]'"
    process = subprocess.Popen(
        [*box.words, "sh", "-c", look],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    said = process.stdout.read().decode()
    process.wait(20)
    process.stdin.close()
    assert "runtime" in said
    assert "unwritable" not in said
    assert "another's" not in said
    assert "writable" not in said
    if os.geteuid() == 0:
        assert f"\n{box.uid}\n" in said or said.startswith(f"runtime{box.uid}\n"), said
        assert "the host's" not in said, "the host's /tmp is not seen"
        assert "secret\n" not in said.replace("/secret", "")
        assert int(said.split()[-1]) < 8, "the host's processes are not seen"


@pytest.mark.parametrize(("uid", "lacks"), [(0, "without namespaces"), (1000, "WITHOUT a sandbox")])
def test_a_host_without_the_means_says_what_jobs_see_there(
    rooms, monkeypatch: pytest.MonkeyPatch, uid: int, lacks: str
) -> None:
    monkeypatch.setattr(sandboxes, "_works", lambda command: False)
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    box = sandbox(rooms["work"], [rooms["runtime"]], [rooms["machines"]])
    assert box.words[1:3] == ("-I", guard.__file__), "the guard alone"
    assert lacks in box.description
    assert box.description in weakness()
    for seen in ("other processes", "/tmp", "files"):
        assert seen in weakness()
