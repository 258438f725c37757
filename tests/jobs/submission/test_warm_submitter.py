"""`spark-submit` in front of the warm submitter: who submits, and that nobody else may meanwhile.

The other end is played by a thread that speaks the protocol; tests/system/jobs has the real one.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from people import until

from market.jobs.submission import submission_lock, warm_submitter
from market.ops.run.submitter import PROGRAMS

JOB = "ab" * 16
COMMAND = ["--master", "yarn", "--conf", f"spark.yarn.tags={JOB}"]
COMMAND += ["--conf", "spark.yarn.submit.waitAppCompletion=false", "--proxy-user", "ann"]
COMMAND += ["--deploy-mode", "cluster", "main.py", "a b", "ü"]
Play = Callable[[socket.socket], None]


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make the state folder, and a Spark whose own command says that it ran."""
    (tmp_path / "run").mkdir(mode=0o700)
    program = tmp_path / "bin" / "spark-submit"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\necho "ordinary: $*"\n')
    program.chmod(0o755)
    monkeypatch.setenv("MARKET_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("MARKET_STACK", str(tmp_path))
    monkeypatch.setenv("SPARK_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def play(state: Path) -> Iterator[Callable[[Play], threading.Thread]]:
    """Return a function that lets a play run at the warm submitter's socket."""
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(state / "run" / "submitter.sock"))
    server.listen()

    def start(actor: Play) -> threading.Thread:
        def attend() -> None:
            line, _ = server.accept()
            with line:
                actor(line)

        thread = threading.Thread(target=attend, daemon=True)
        thread.start()
        return thread

    yield start
    server.close()


def submit(*words: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["spark-submit", *words],
        env=os.environ | {"PATH": f"{PROGRAMS}:{os.environ['PATH']}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=30,
        **options,  # type: ignore[call-overload]
    )


def question(line: socket.socket) -> list[str]:
    length = int.from_bytes(line.recv(4, socket.MSG_WAITALL), "big")
    return line.recv(length, socket.MSG_WAITALL).decode().split("\0")


def answer(line: socket.socket, kind: str, text: str = "") -> None:
    line.sendall(kind.encode() + len(text.encode()).to_bytes(4, "big") + text.encode())


def test_the_warm_submitter_gets_the_whole_command_and_its_log_and_application_are_shown(
    play: Callable[[Play], threading.Thread],
) -> None:
    heard: list[str] = []

    def actor(line: socket.socket) -> None:
        heard.extend(question(line))
        answer(line, "R")
        assert line.recv(1) == b"G"
        answer(line, "L", "INFO Client: Uploading")
        answer(line, "D", "application_17_0003")

    play(actor)
    done = submit(*COMMAND)
    assert done.returncode == 0
    assert "INFO Client: Uploading\n" in done.stdout
    assert "application_17_0003" in done.stdout
    assert "ordinary" not in done.stdout
    assert heard[:2] == ["submit", JOB]
    assert heard[-len(COMMAND) :] == COMMAND


def test_without_a_warm_submitter_spark_s_own_command_runs(state: Path) -> None:
    done = submit(*COMMAND)
    assert done.returncode == 0
    assert f"ordinary: {' '.join(COMMAND)}\n" in done.stdout


@pytest.mark.parametrize("answers", [[("N", "other settings")], [("R", ""), ("N", "it lacks a class")], []])
def test_what_it_certainly_did_not_submit_is_submitted_by_spark_s_own_command(
    play: Callable[[Play], threading.Thread], answers: list[tuple[str, str]]
) -> None:
    def actor(line: socket.socket) -> None:
        question(line)
        for kind, text in answers:
            answer(line, kind, text)
            if kind == "R":
                line.recv(1)

    play(actor)
    assert "ordinary" in submit(*COMMAND).stdout


def test_one_that_is_not_ready_in_time_hears_no_go(
    play: Callable[[Play], threading.Thread], monkeypatch: pytest.MonkeyPatch
) -> None:
    went: list[bytes] = []

    def actor(line: socket.socket) -> None:
        question(line)
        went.append(line.recv(1))  # ends when the caller has closed

    monkeypatch.setattr(warm_submitter, "_READY_S", 0.1)
    thread = play(actor)
    with pytest.raises(warm_submitter.NotSubmittedError):
        warm_submitter.hand_over(JOB, COMMAND)
    thread.join(10)
    assert went == [b""]


@pytest.mark.parametrize("last", [[], [("F", "queue is stopped")]])
def test_after_go_nobody_else_submits_whatever_happens(
    play: Callable[[Play], threading.Thread], last: list[tuple[str, str]]
) -> None:
    def actor(line: socket.socket) -> None:
        question(line)
        answer(line, "R")
        line.recv(1)
        for kind, text in last:
            answer(line, kind, text)

    play(actor)
    done = submit(*COMMAND)
    assert done.returncode == 1
    assert "ordinary" not in done.stdout


def test_a_killed_command_keeps_the_lock_until_the_warm_submitter_has_ended(
    play: Callable[[Play], threading.Thread],
) -> None:
    began, end = threading.Event(), threading.Event()

    def actor(line: socket.socket) -> None:
        question(line)
        answer(line, "R")
        line.recv(1)
        began.set()
        end.wait(30)

    play(actor)
    with submission_lock.taken(JOB) as lock:
        running = subprocess.Popen(
            ["spark-submit", *COMMAND],
            env=os.environ | {"PATH": f"{PROGRAMS}:{os.environ['PATH']}"},
            pass_fds=(lock,),
        )
    assert began.wait(30)
    running.send_signal(signal.SIGKILL)
    running.wait(30)
    assert submission_lock.held(JOB)
    with pytest.raises(RuntimeError), submission_lock.taken(JOB, patience_s=0.3):
        pass
    end.set()
    until(lambda: not submission_lock.held(JOB), "the lock's release", 10)


@pytest.mark.parametrize(
    "words",
    [
        ["--version"],
        ["--master", "local[1]", "main.py"],
        [word for word in COMMAND if word not in ("--proxy-user", "ann")],
        [word.replace("Completion=false", "Completion=true") for word in COMMAND],
    ],
)
def test_other_commands_are_spark_s_own(words: list[str]) -> None:
    assert warm_submitter.tag_of(words) == ""
    assert warm_submitter.tag_of(COMMAND) == JOB


def test_a_point_of_a_sweep_is_known_by_its_own_tag() -> None:
    point = [word.replace(JOB, f"{JOB}-3,{JOB}") for word in COMMAND]
    assert warm_submitter.tag_of(point) == f"{JOB}-3"
