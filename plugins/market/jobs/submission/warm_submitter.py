"""`spark-submit` as Airflow finds it first: hands the command to the warm submitter, else runs Spark's own.

At most one application comes of a command, whatever dies when, because exactly one process may submit at any
time, and the job's lock (submission_lock.py, inherited by this process) is held as long as one may:

1. Until this process has said "go", the warm submitter does nothing. If it is not there, refuses, or is not
   ready in time, the connection is closed and Spark's own command takes this process's place, lock and all.
2. Before "go" a keeper is forked, in a session of its own. It holds the lock until the warm submitter closes
   the connection, which it does when the submission has ended, or by its death. So when this process is
   killed, the next try of the job still waits for the end of what was begun, and then finds the tag.
3. After "go" Spark's own command runs only if the warm submitter says that it has not submitted. If it dies,
   or says nothing for too long, this command fails; the operator looks for the tag, and a later try, which
   needs the lock, decides.
4. The warm submitter itself looks for the tag before it submits, and works at one submission for a tag at a
   time; so even without keeper and lock (killed as well) two tries that it serves give one application.

This file is run by a Python without site packages, so that it starts in a few hundredths of a second: only
the standard library, and few modules of it.
"""

from __future__ import annotations

import os
import select
import socket
import struct
import sys
from itertools import pairwise

_SOCKET = "run/submitter.sock"
_CONNECT_S = 1.0
_READY_S = 8.0  # a short queue at the warm submitter is still faster than Spark's own command
_END_S = 180.0  # the warm submitter gives up before this (Work.java)
_LONGEST = 4 << 20
# What Spark's client takes from its environment, beside the settings that the market writes to files.
_VARIABLES = ("SPARK_HOME", "SPARK_CONF_DIR", "HADOOP_CONF_DIR", "HADOOP_USER_NAME", "SPARK_LOCAL_IP")


class NotSubmittedError(Exception):
    """The warm submitter did not submit and will not."""


def main(arguments: list[str]) -> int:
    """Submit; return the exit code, or become Spark's own command."""
    try:
        tag = tag_of(arguments)
        if tag:
            return hand_over(tag, arguments)
    except NotSubmittedError as reason:
        print(f"the warm submitter is not used: {reason}", file=sys.stderr, flush=True)
    program = os.path.join(os.environ["SPARK_HOME"], "bin", "spark-submit")
    os.execv(program, [program, *arguments])  # noqa: S606


def tag_of(arguments: list[str]) -> str:
    """Return the tag of a command that the warm submitter can do: for a user, in the cluster, not waiting.

    An empty string means that it is Spark's own command's. The first of several tags names the run.
    """
    values = dict(pairwise(arguments))
    settings = [value for name, value in pairwise(arguments) if name == "--conf"]
    conf = dict(setting.partition("=")[::2] for setting in settings)
    if (
        values.get("--master") != "yarn"
        or values.get("--deploy-mode") != "cluster"
        or conf.get("spark.yarn.submit.waitAppCompletion") != "false"
        or "--proxy-user" not in values
    ):
        return ""
    return conf.get("spark.yarn.tags", "").partition(",")[0]


def hand_over(tag: str, arguments: list[str]) -> int:
    """Let the warm submitter do it, showing its log; return the exit code. Raises NotSubmittedError."""
    with _connected() as line:
        given = [f"{name}={os.environ[name]}" for name in _VARIABLES if name in os.environ]
        ask(line, ["submit", tag, str(len(given)), *given, *arguments])
        kind, text = _answer(line, _READY_S)
        if kind != "R":
            raise NotSubmittedError(text or "it was not ready in time")
        _keep_lock(line)
        try:
            line.sendall(b"G")
        except OSError:
            return _failed("it went away")  # whether before or after it read the word cannot be told
        return _follow(line)


def _follow(line: socket.socket) -> int:
    while True:
        kind, text = _answer(line, _END_S)
        if kind == "L":
            print(text, file=sys.stderr, flush=True)
        elif kind == "D":
            print(f"Submitted by the warm submitter: {text}", file=sys.stderr, flush=True)
            return 0
        elif kind == "N":
            raise NotSubmittedError(text)
        else:
            return _failed(text or "it died, or did not end in time")


def _failed(why: str) -> int:
    print(f"the warm submitter failed: {why}", file=sys.stderr, flush=True)
    return 1


def _connected() -> socket.socket:
    line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    line.settimeout(_CONNECT_S)
    try:
        line.connect(os.path.join(os.environ.get("MARKET_STACK", ""), _SOCKET))
    except OSError as error:
        line.close()
        raise NotSubmittedError(f"{error.strerror or error}") from None
    return line


def ask(line: socket.socket, words: list[str]) -> None:
    """Send a question. Raises NotSubmittedError."""
    try:
        text = "\0".join(words).encode()
        if len(text) > _LONGEST:
            raise NotSubmittedError("the command is too long")
        line.sendall(struct.pack(">I", len(text)) + text)
    except (OSError, UnicodeEncodeError) as error:
        raise NotSubmittedError(str(error)) from None


def _answer(line: socket.socket, patience_s: float) -> tuple[str, str]:
    """Return the kind and the text of the next answer; two empty strings if there is none."""
    line.settimeout(patience_s)
    try:
        head = _exactly(line, 5)
        return head[:1].decode(), _exactly(line, int.from_bytes(head[1:], "big")).decode(errors="replace")
    except OSError:
        return "", ""


def _exactly(line: socket.socket, length: int) -> bytes:
    received = b""
    while len(received) < length:
        part = line.recv(length - len(received))
        if not part:
            raise ConnectionError("closed")
        received += part
    return received


def _keep_lock(line: socket.socket) -> None:
    """Fork the keeper of the lock: it has all open files of this process, and reads nothing."""
    if os.fork():
        return
    try:
        os.setsid()
        quiet = os.open(os.devnull, os.O_RDWR)
        for standard in (0, 1, 2):
            os.dup2(quiet, standard)  # else whoever reads this command's output would wait for the keeper
        end = select.poll()
        end.register(line, select.POLLRDHUP)
        end.poll()
    finally:
        os._exit(0)


def status(path: str, patience_s: float = 2.0) -> str:
    """Return what the warm submitter at a socket says of itself. Raises OSError."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        line.settimeout(patience_s)
        line.connect(path)
        ask(line, ["status"])
        kind, text = _answer(line, patience_s)
    if kind != "S":
        raise OSError("it does not answer")
    return text
