"""The archive of what lies beside a program, unpacked as YARN does it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from odd_texts import ODD

from market.cluster.errors import HdfsNotFound
from market.cluster.hdfs import Hdfs
from market.jobs.folder import Entry
from market.jobs.submission import archive
from market.kit.errors import ConflictError

NAMES = ["data.csv", "empty", f"odd {ODD}", "x" * 150 + "/ü/" + "y" * 150, "-dash", "new\nline"]


class Files(Hdfs):
    """An HDFS in memory."""

    def __init__(self, held: dict[str, bytes]) -> None:
        self.held = held

    def open(self, path: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        if path not in self.held:
            raise HdfsNotFound(path)
        content = self.held[path][:length]
        return (content[start : start + 1000] for start in range(0, len(content), 1000))

    def create(self, path: str, chunks: Iterable[bytes], overwrite: bool = True) -> None:
        self.held[path] = b"".join(chunks)


def contents() -> dict[str, bytes]:
    return {name: (b"" if name == "empty" else name.encode() * 5000) for name in NAMES}


def entries(held: dict[str, bytes]) -> list[Entry]:
    return [
        *(Entry(name, len(text), False, 1_700_000_000_000) for name, text in held.items()),
        Entry("bare", 0, True, 0),
    ]


def test_it_unpacks_to_what_was_there_whatever_the_names(tmp_path: Path) -> None:
    """Hadoop hands archives to `tar` in a shell of whatever language."""
    held = contents()
    files = Files({f"/home/{name}": text for name, text in held.items()})
    archive.write(files, "/home", entries(held), place := "/job/beside.tar")
    subprocess.run(
        ["tar", "-x"],
        cwd=tmp_path,
        input=files.held[place],
        check=True,
        env={"LC_ALL": "C", "PATH": "/bin:/usr/bin"},
    )
    found = {
        str(path.relative_to(tmp_path)): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()
    }
    assert found == held
    assert (tmp_path / "bare").is_dir()
    assert (tmp_path / "data.csv").stat().st_mtime == 1_700_000_000


@pytest.mark.parametrize("later", [None, b"shorter"])
def test_a_file_that_changes_meanwhile_is_named(later: bytes | None) -> None:
    listed = [Entry("data.csv", 1000, False, 0)]
    files = Files({} if later is None else {"/home/data.csv": later})
    with pytest.raises(ConflictError, match=r"data\.csv was changed"):
        archive.write(files, "/home", listed, "/job/beside.tar")
