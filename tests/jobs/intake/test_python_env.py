"""A packed Python environment that no job could start with is refused when it is named."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from market.cluster.hdfs import FileStatus
from market.jobs.intake import python_env


class OneFile:
    """An HDFS with one file in it, which counts what is read."""

    def __init__(self, content: bytes) -> None:
        self.content, self.read = content, 0

    def status(self, path: str) -> FileStatus:
        return FileStatus("", len(self.content), False, 0, "644", "alice")

    def open(self, path: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        end = len(self.content) if length is None else offset + length
        for start in range(offset, end, 1 << 16):
            part = self.content[start : min(start + (1 << 16), end)]
            self.read += len(part)
            yield part


def tar(files: Mapping[str, bytes]) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for name, content in files.items():
            about = tarfile.TarInfo(name)
            about.size = len(content)
            archive.addfile(about, io.BytesIO(content))
    return made.getvalue()


def zipped(files: Mapping[str, bytes]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return made.getvalue()


PACKERS: dict[str, Any] = {
    "env.tar": tar,
    "env.tar.gz": lambda files: gzip.compress(tar(files)),
    "env.tgz": lambda files: gzip.compress(tar(files)),
    "env.zip": zipped,
}


@pytest.mark.parametrize("name", PACKERS)
@pytest.mark.parametrize(
    ("files", "words"),
    [
        (("lib/x.py", "bin/python"), None),
        (("./bin/python3", "./pyvenv.cfg"), None),
        (("env/pyvenv.cfg", "env/bin/python"), "lies in a folder env:"),
        (("opt/my env/bin/python",), "lies in a folder opt/my env:"),
        (("Scripts/python.exe", "Lib/x.py"), "made on Windows"),
        (("lib/x.py",), "There is no bin/python"),
    ],
)
def test_the_layout_is_looked_at(name: str, files: tuple[str, ...], words: str | None) -> None:
    found = python_env.problem(OneFile(PACKERS[name](dict.fromkeys(files, b"x"))), name)  # type: ignore[arg-type]
    assert (found is None) == (words is None)
    assert (words or "") in (found or "")
    assert found is None or "bin/python is at its top" in found


@pytest.mark.parametrize("name", PACKERS)
@pytest.mark.parametrize("content", [b"", b"no archive", b"\x1f\x8b\x08 broken", b"PK\x03\x04 broken"])
def test_what_is_no_archive(name: str, content: bytes) -> None:
    found = python_env.problem(OneFile(content), name)  # type: ignore[arg-type]
    assert found is not None


def test_a_large_one_is_read_in_part_only() -> None:
    noise = os.urandom(1 << 20)
    large = {f"lib/{number}.so": noise for number in range(24)}
    for name in ("env.tar", "env.tar.gz"):
        file = OneFile(PACKERS[name](large))
        assert python_env.problem(file, name) is None  # type: ignore[arg-type]
        assert file.read < 10 << 20
    nested = OneFile(PACKERS["env.tar.gz"]({"env/bin/python": b""} | large))
    assert "folder env:" in str(python_env.problem(nested, "env.tar.gz"))  # type: ignore[arg-type]


def test_little_that_becomes_much_is_not_unpacked() -> None:
    bomb = OneFile(gzip.compress(tar({"lib/zeros": bytes(200 << 20)}), 1))
    assert python_env.problem(bomb, "env.tgz") is None  # type: ignore[arg-type]
