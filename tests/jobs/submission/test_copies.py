"""What a job is made of is copied once, whole, into its own folder."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from market.cluster.errors import ClusterRefused, HdfsDenied, HdfsNotFound, HdfsOverQuota
from market.cluster.hdfs import FileStatus, Hdfs
from market.hadoop import paths
from market.jobs import folder, kept_files
from market.jobs.spec import JobSpec
from market.jobs.submission import copies
from market.jobs.submission.copies import Copies
from market.kit.errors import ConflictError

JOB = paths.job_folder("alice", "ab" * 16)
HOME = "/user/alice/p"
PLAIN: dict[str, Any] = {
    "root_path": "p",
    "entry_file": "main.py",
    "machine_type": "cpu",
    "core_num": 1,
    "executor_cores": 1,
    "driver_memory": 512,
    "executor_memory": 512,
    "max_duration": 60,
    "max_wait": 60,
}


@dataclass
class Files(Hdfs):
    """An HDFS in memory."""

    held: dict[str, bytes] = field(default_factory=dict)
    used: list[str] = field(default_factory=list)
    meanwhile: Callable[[], None] = lambda: None  # before a folder gets its name

    def as_user(self, name: str) -> Files:
        return self

    def status(self, path: str) -> FileStatus | None:
        if path not in self.held:
            return None
        size, version = len(self.held[path]), hash(self.held[path]) % 1000
        return FileStatus("", size, False, version, "700", "alice")

    def set_used(self, path: str, at_ms: int) -> None:
        self.used.append(path)

    def list(self, path: str) -> list[FileStatus]:
        below = [name[len(path) + 1 :] for name in self.held if name.startswith(f"{path}/")]
        if not below:
            raise HdfsNotFound(path)
        sizes = {
            name.split("/")[0]: ("/" in name, len(self.held[f"{path}/{name}"])) for name in sorted(below)
        }
        return [FileStatus(name, size, is_in, 0, "700", "alice") for name, (is_in, size) in sizes.items()]

    def open(self, path: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        if path not in self.held:
            raise HdfsNotFound(path)
        return iter([self.held[path]])

    def create(self, path: str, chunks: Iterable[bytes], overwrite: bool = True) -> None:
        self.held[path] = b"".join(chunks)

    def appear(self, path: str, target: str) -> None:
        self.meanwhile()
        if [name for name in self.held if name.startswith(f"{target}/")]:
            raise ClusterRefused("exists")
        for name in [name for name in self.held if name.startswith(f"{path}/")]:
            self.held[target + name.removeprefix(path)] = self.held.pop(name)

    def delete(self, path: str, recursive: bool = False) -> bool:
        gone = [name for name in self.held if name == path or name.startswith(f"{path}/")]
        return bool([self.held.pop(name) for name in gone])

    def copied(self) -> dict[str, bytes]:
        return {name: text for name, text in self.held.items() if name.startswith(f"{JOB}/")}


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch) -> Files:
    made = Files({f"{HOME}/main.py": b"print(1)", f"{HOME}/u.py": b"u", f"{HOME}/a.csv": b"1,2"})
    monkeypatch.setattr(folder, "hdfs", lambda: made)
    return made


def made(files: Files, **changes: Any) -> Copies:
    return copies.made(files, "alice", JOB, JobSpec.from_json(PLAIN | changes))


def test_all_runs_have_what_the_first_one_had(files: Files) -> None:
    assert made(files, libs=["u.py"]) == Copies(("a.csv",))
    first = files.copied()
    assert sorted(first.values()) == [b"1,2", b"print(1)", b"u"]
    files.held |= {f"{HOME}/main.py": b"changed", f"{HOME}/new.csv": b""}
    del files.held[f"{HOME}/a.csv"]
    assert made(files, libs=["u.py"]) == Copies(("a.csv",))
    assert files.copied() == first


def test_a_program_alone_is_one_file(files: Files) -> None:
    assert made(files, exclude=["a.csv", "u.py"]) == Copies()
    assert files.copied() == {f"{paths.program(JOB)}/0/main.py": b"print(1)"}


def test_what_is_more_is_an_archive(files: Files) -> None:
    files.held[f"{HOME}/sub/b.csv"] = b""
    assert made(files) == Copies((), True) == made(files)
    assert set(files.copied()) == {f"{paths.program(JOB)}/0/main.py", paths.beside(JOB)}


def test_of_two_points_at_once_the_first_one_s_copies_count(files: Files) -> None:
    theirs = {f"{paths.program(JOB)}/0/main.py": b"theirs", f"{paths.few(JOB)}/x.csv": b""}
    files.meanwhile = lambda: files.held.update(theirs)
    assert made(files) == Copies(("x.csv",))
    assert files.copied() == theirs, "nothing of this one's is left"


@pytest.mark.parametrize(
    ("refusal", "said", "words"),
    [
        (HdfsNotFound, ConflictError, "u.py is not there any more"),
        (HdfsDenied, ConflictError, "u.py may not be read"),
        (HdfsOverQuota, HdfsOverQuota, "^no$"),
    ],
)
def test_what_cannot_be_copied_leaves_nothing(
    files: Files,
    monkeypatch: pytest.MonkeyPatch,
    refusal: type[Exception],
    said: type[Exception],
    words: str,
) -> None:
    whole = files.open

    def refused(path: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        if path.endswith("u.py"):
            raise refusal("no")
        return whole(path)

    monkeypatch.setattr(files, "open", refused)
    with pytest.raises(said, match=words):
        made(files, libs=["u.py"])
    assert files.copied() == {}


def test_jobs_share_the_copy_of_a_large_file(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a machine has fetched and unpacked for one job serves the next."""
    monkeypatch.setattr(kept_files, "_LARGE_BYTES", 1000)
    source = f"{HOME}/env.tar.gz"
    files.held[source] = first = b"x" * 2000
    fields: dict[str, Any] = {"python_env": "env.tar.gz", "exclude": ["a.csv", "u.py"]}
    place = f"{paths.program(JOB)}/0/env.tar.gz"
    files.held[f"{HOME}/data.csv"] = b"1" * 2000
    copied = made(files, **fields)
    kept = copied.elsewhere[place]
    assert (copied.few, len(copied.elsewhere)) == (("data.csv",), 1), "what lies beside it is this job's own"
    assert kept.startswith(f"{paths.kept('alice')}/")
    assert place not in files.held
    another = paths.job_folder("alice", "cd" * 16)
    spec = JobSpec.from_json(PLAIN | fields)
    assert list(copies.made(files, "alice", another, spec).elsewhere.values()) == [kept]
    assert files.used == [kept]
    files.held[source] = b"y" * 2000
    third = paths.job_folder("alice", "ef" * 16)
    (newer,) = copies.made(files, "alice", third, spec).elsewhere.values()
    assert (files.held[kept], files.held[newer]) == (first, b"y" * 2000)
    assert made(files, **fields).elsewhere == {place: kept}, "a later run has what the first one had"


def test_a_large_file_that_changes_while_it_is_copied_is_named(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_files, "_LARGE_BYTES", 1000)
    source = f"{HOME}/env.tar.gz"
    files.held[source] = b"x" * 2000
    create = files.create

    def changed(path: str, chunks: Iterable[bytes], overwrite: bool = True) -> None:
        create(path, chunks)
        if path.endswith("env.tar.gz"):
            files.held[source] = b"other" * 500

    monkeypatch.setattr(files, "create", changed)
    with pytest.raises(ConflictError, match=r"env\.tar\.gz was changed"):
        made(files, python_env="env.tar.gz")
    assert set(files.held) == {f"{HOME}/{name}" for name in ("main.py", "u.py", "a.csv", "env.tar.gz")}
