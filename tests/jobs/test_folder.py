"""What of a job's folder goes along with its program."""

from __future__ import annotations

from typing import Any

import pytest

from market.cluster.hdfs import FileStatus
from market.jobs import folder
from market.jobs.spec import JobSpec
from market.kit.errors import BadInputError

MIB = 1 << 20


class Files:
    """A home in HDFS with these files (path -> bytes), all in the folder `digits`."""

    def __init__(self, sizes: dict[str, int]) -> None:
        self.sizes = {f"/user/alice/digits/{path}": size for path, size in sizes.items()}
        self.looked: list[str] = []

    def as_user(self, name: str) -> Files:
        assert name == "alice"
        return self

    def list(self, path: str) -> list[FileStatus]:
        self.looked.append(path)
        below = [
            (name[len(path) + 1 :], size) for name, size in self.sizes.items() if name.startswith(f"{path}/")
        ]
        found = {name.split("/")[0]: (size, "/" in name) for name, size in below}
        return [
            FileStatus(name, 0 if inner else size, inner, 0, "700", "alice")
            for name, (size, inner) in found.items()
        ]


def spec(**changes: Any) -> JobSpec:
    fields = {
        "root_path": "digits",
        "entry_file": "main.py",
        "machine_type": "cpu",
        **dict.fromkeys(("core_num", "executor_cores", "max_duration", "max_wait"), 1),
        **dict.fromkeys(("driver_memory", "executor_memory"), 512),
    }
    return JobSpec.from_json(fields | changes)


def beside(monkeypatch: pytest.MonkeyPatch, sizes: dict[str, int], **changes: Any) -> list[str]:
    monkeypatch.setattr(folder, "hdfs", lambda: Files(sizes))
    return sorted(entry.path for entry in folder.beside("alice", spec(**changes)))


TREE = dict.fromkeys(
    ["main.py", "data.csv", "mypkg/__init__.py", "mypkg/deep/a.json", "ü/x.csv", "lib/dep.jar"], 1
)


def test_all_goes_along_with_its_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    assert beside(monkeypatch, TREE) == sorted([*TREE, "mypkg", "mypkg/deep", "ü", "lib"])


@pytest.mark.parametrize(
    ("tree", "changes"),
    [
        (["main.py"], {}),
        (["main.py", "util.py"], {"libs": ["util.py"]}),
        (["app.jar", "dep.jar"], {"entry_file": "app.jar", "libs": ["dep.jar"]}),
        (
            ["main.py", "d.zip", "env.tar.gz", "x.egg"],
            {"archives": ["d.zip"], "python_env": "env.tar.gz", "libs": ["x.egg"]},
        ),
        (["main.py", "__pycache__/main.pyc", ".git/HEAD"], {}),
        (["main.py", "data.csv"], {"exclude": ["data.csv"]}),
    ],
)
def test_nothing_is_made_for_a_program_that_lies_alone(
    monkeypatch: pytest.MonkeyPatch, tree: list[str], changes: dict[str, Any]
) -> None:
    assert beside(monkeypatch, dict.fromkeys(tree, 1), **changes) == []


@pytest.mark.parametrize(
    ("changes", "there"),
    [
        ({"files": ["*.csv"]}, ["data.csv", "main.py", "ü/x.csv"]),
        ({"files": ["mypkg/"]}, ["main.py", "mypkg", "mypkg/__init__.py", "mypkg/deep", "mypkg/deep/a.json"]),
        ({"files": ["mypkg/*.py"]}, ["main.py", "mypkg/__init__.py"]),
        ({"files": ["mypkg"], "exclude": ["deep"]}, ["main.py", "mypkg", "mypkg/__init__.py"]),
        ({"files": ["data.csv"], "libs": ["lib"]}, ["data.csv", "lib", "lib/dep.jar", "main.py"]),
        ({"files": ["data.csv"], "libs": ["lib", "lib/dep.jar"]}, ["data.csv", "lib", "main.py"]),
        ({"exclude": ["*"], "entry_file": "mypkg/__init__.py"}, []),
        ({"exclude": ["mypkg", "ü", "lib"]}, ["data.csv", "main.py"]),
        (
            {"exclude": ["mypkg", "*.csv", "ü", "lib"], "libs": ["mypkg"]},
            ["main.py", *sorted(["mypkg", "mypkg/__init__.py", "mypkg/deep", "mypkg/deep/a.json"])],
        ),
    ],
)
def test_files_and_exclude_narrow_it(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], there: list[str]
) -> None:
    assert beside(monkeypatch, TREE, **changes) == there


def test_a_folder_that_is_left_out_is_not_looked_into(monkeypatch: pytest.MonkeyPatch) -> None:
    files = Files(TREE)
    monkeypatch.setattr(folder, "hdfs", lambda: files)
    folder.beside("alice", spec(exclude=["mypkg", "ü"]))
    assert sorted(files.looked) == ["/user/alice/digits", "/user/alice/digits/lib"]


@pytest.mark.parametrize(
    "sizes",
    [
        {"main.py": 1, "data.csv": 257 * MIB},
        {"main.py": 1} | {f"{number}.txt": 0 for number in range(2000)},
        {f"{number}/main.py": 1 for number in range(1001)},
    ],
)
def test_too_much_is_refused_with_the_way_out(monkeypatch: pytest.MonkeyPatch, sizes: dict[str, int]) -> None:
    with pytest.raises(BadInputError) as caught:
        beside(monkeypatch, sizes)
    words = caught.value.detail
    assert list(caught.value.errors) == ["root_path"]
    assert "in files" in words
    assert "in exclude" in words
    assert "2000 with 256 MiB" in words
    if "data.csv" in sizes:
        assert "data.csv with 257.0 MiB" in words


def test_just_enough_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    assert beside(monkeypatch, {"main.py": MIB, "data.csv": 255 * MIB}) == ["data.csv", "main.py"]
