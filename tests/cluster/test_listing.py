"""Listing through the warm submitter's process, played by a thread; tests/jobs/output has the real one."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from market.cluster.errors import HdfsDenied, HdfsNotFound
from market.cluster.hdfs import FileStatus, Hdfs
from market.cluster.listing import Lister
from market.cluster.tickets import Named

Play = Callable[[socket.socket, list[str]], None]


def frame(kind: str, *words: str) -> bytes:
    text = "".join(f"{word}\0" for word in words).encode()
    return kind.encode() + len(text).to_bytes(4, "big") + text


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "submitter.sock"


@pytest.fixture
def play(place: Path) -> Iterator[Callable[[Play], None]]:
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(place))
    server.listen()

    def start(actor: Play) -> None:
        def attend() -> None:
            line, _ = server.accept()
            with line:
                length = int.from_bytes(line.recv(4, socket.MSG_WAITALL), "big")
                actor(line, line.recv(length, socket.MSG_WAITALL).decode().split("\0"))

        threading.Thread(target=attend, daemon=True).start()

    yield start
    server.close()


def says(*frames: bytes) -> Play:
    return lambda line, _: line.sendall(b"".join(frames))


def test_files_come_in_any_number_of_answers(place: Path, play: Callable[[Play], None]) -> None:
    asked: list[str] = []

    def actor(line: socket.socket, words: list[str]) -> None:
        asked.extend(words)
        line.sendall(frame("E", "3", "7", "ü/b") + frame("E") + frame("E", "0", "8", "a\n", "1", "9", "c"))
        line.sendall(frame("D"))

    play(actor)
    assert Lister(place).below("alice", "/user/alice/x") == [("ü/b", 3, 7), ("a\n", 0, 8), ("c", 1, 9)]
    assert asked == ["list", "alice", "/user/alice/x", "200000"]


@pytest.mark.parametrize(("kind", "error"), [("M", HdfsNotFound), ("A", HdfsDenied)])
def test_what_is_not_there_or_closed(
    place: Path, play: Callable[[Play], None], kind: str, error: type[Exception]
) -> None:
    play(says(frame(kind)))
    with pytest.raises(error):
        Lister(place).below("alice", "/x")


@pytest.mark.parametrize(
    "said",
    [
        b"",
        frame("F", "HDFS is away"),
        frame("N", "unknown question: list"),
        frame("E", "1", "2", "a"),
        frame("E", "x", "2", "a") + frame("D"),
        frame("E", "1", "2") + frame("D"),
        b"E" + (1 << 30).to_bytes(4, "big"),
        b"E\0\0\0\1\xff",
    ],
)
def test_half_an_answer_is_none(place: Path, play: Callable[[Play], None], said: bytes) -> None:
    play(says(said))
    assert Lister(place).below("alice", "/x") is None


def test_without_the_process_each_folder_is_asked_for(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = {
        "/x": [FileStatus("b", 0, True, 1, "700", ""), FileStatus("a", 5, False, 2, "600", "")],
        "/x/b": [FileStatus("c", 6, False, 3, "600", ""), FileStatus("gone", 0, True, 1, "700", "")],
    }

    def listed(_: Hdfs, path: str) -> list[FileStatus]:
        if path not in folders:
            raise HdfsNotFound(path)
        return folders[path]

    monkeypatch.setattr(Hdfs, "list", listed)
    files = Hdfs("http://x", Named("market"), lister=Lister(place)).as_user("alice")
    assert sorted((path, status.size) for path, status in files.walk("/x")) == [("a", 5), ("b/c", 6)]
    with pytest.raises(HdfsNotFound):
        list(files.walk("/y"))
    asked = iter(files.walk("/x"))
    next(asked)
    asked.close()  # type: ignore[attr-defined]
