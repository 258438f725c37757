"""Which packages a request asks for: its own list, else the file beside the program."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from market.cluster.hdfs import FileStatus
from market.jobs.intake import packages
from market.kit.errors import BadInputError

REQUEST = {"root_path": "digits"}


class Files:
    """A home with a requirements.txt."""

    def __init__(self, content: bytes | None) -> None:
        self.content = content

    def as_user(self, name: str) -> Files:
        return self

    def status(self, path: str) -> FileStatus | None:
        assert path == "/user/alice/digits/requirements.txt"
        return None if self.content is None else FileStatus("", len(self.content), False, 0, "600", "alice")

    def read(self, path: str) -> bytes:
        assert self.content is not None
        return self.content


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Return a function that asks with a file of this content beside the program."""

    def ask(content: bytes | None, entry_file: str = "main.py", **fields: Any) -> list[str]:
        monkeypatch.setattr(packages, "hdfs", lambda: Files(content))
        return packages.asked("alice", REQUEST | fields, entry_file)

    return ask


def test_the_file_counts_where_the_request_is_silent(asked: Callable[..., list[str]]) -> None:
    assert asked(b"# why\nTabulate==0.9\npyspark\n") == ["tabulate==0.9"]
    assert asked(None) == []
    assert asked(b"tabulate", requirements=["numpy>=2"]) == ["numpy>=2"]
    assert asked(b"tabulate", requirements=[]) == []


def test_a_program_with_a_python_of_its_own_or_none_needs_no_file(asked: Callable[..., list[str]]) -> None:
    assert asked(b"tabulate", python_env="env.tar.gz") == []
    assert asked(b"tabulate", entry_file="app.jar") == []


@pytest.mark.parametrize(
    ("content", "fields"),
    [
        (None, {"requirements": ["a"], "python_env": "env.tar.gz"}),
        (None, {"requirements": ["a"], "entry_file": "app.jar"}),
        (b"-r /etc/passwd", {}),
        (b"--index-url http://evil\nprobe", {}),
        (b"\xff\xfe", {}),
        (b"a\n" * 40_000, {}),
    ],
)
def test_what_cannot_be_had_is_named(
    asked: Callable[..., list[str]], content: bytes | None, fields: dict[str, Any]
) -> None:
    with pytest.raises(BadInputError) as caught:
        asked(content, **fields)
    assert list(caught.value.errors) == ["requirements"]
