"""What goes along with a program, and what is told about it before anything is paid."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from distributedmarket.errors import SetupError
from distributedmarket.sdk.program import bundle
from distributedmarket.sdk.program.bundle import Program, collect
from distributedmarket.sdk.program.check import check, modules, runtime_modules
from distributedmarket.sdk.program.upload import default_root
from market.kit import settings

EXAMPLES = sorted((settings.ROOT / "examples").glob("*/main.py"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder as people have them: a program, modules, a package, data, and much that stays here."""
    texts = {
        "train.py": "import os, helper\nfrom mypkg.models import net\nopen('data.csv')\nopen('.env')\n",
        "helper.py": "import second\nspark.read.text('words.txt')\n",
        "second.py": "",
        "mypkg/__init__.py": "",
        "mypkg/models/__init__.py": "from mypkg import loss\n",
        "mypkg/models/net.json": "{}",
        "mypkg/loss.py": "import third\n",
        "mypkg/__pycache__/loss.pyc": "",
        "third.py": "",
        "unused.py": "",
        "data.csv": "1,2\n",
        "words.txt": "a b\n",
        ".env": "KEY=1",
        "images/a/1.png": "1",
        "images/2.png": "2",
        "results/old/part-0": "x" * 100,
        "out/part-0": "x",
    }
    for name, content in texts.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    return tmp_path


def test_what_is_imported_and_named_goes_along_and_nothing_else(folder: Path) -> None:
    found = collect(folder / "train.py")
    assert found.entry == "train.py"
    assert sorted(found.files) == [
        "data.csv",
        "helper.py",
        "mypkg/__init__.py",
        "mypkg/loss.py",
        "mypkg/models/__init__.py",
        "mypkg/models/net.json",
        "second.py",
        "third.py",
        "train.py",
        "words.txt",
    ]
    assert not [one for one in check(found, {}) if one.fatal]


@pytest.mark.parametrize(
    ("word", "files"),
    [
        ("images", ["images/2.png", "images/a/1.png"]),
        ("images/*.png", ["images/2.png", "images/a/1.png"]),
        ("unused.py", ["unused.py"]),
        (".env", [".env"]),
    ],
)
def test_more_goes_along_when_it_is_named(folder: Path, word: str, files: list[str]) -> None:
    assert (
        sorted(set(collect(folder / "train.py", [word]).files) - set(collect(folder / "train.py").files))
        == files
    )


def test_an_argument_that_is_a_file_goes_along_and_requirements_do(folder: Path) -> None:
    (folder / "requirements.txt").write_text("tabulate==0.10\n")
    found = collect(folder / "second.py", arguments=["--data", "words.txt", "out", "/etc/hostname", "../x"])
    assert sorted(found.files) == ["requirements.txt", "second.py", "words.txt"]


@pytest.mark.parametrize(
    ("program", "named", "words"),
    [
        ("none.py", [], "there is no file"),
        ("data.csv", [], "is no program"),
        ("train.py", ["none*"], "there is no none"),
        ("train.py", ["../secret"], "does not lie in"),
        ("train.py", ["/etc/passwd"], "does not lie in"),
    ],
)
def test_what_is_not_there_is_told(folder: Path, program: str, named: list[str], words: str) -> None:
    with pytest.raises(SetupError, match=words):
        collect(folder / program, named)


def test_a_program_in_a_folder_finds_modules_beside_it_and_at_the_top(folder: Path) -> None:
    (folder / "src").mkdir()
    (folder / "src" / "job.py").write_text("import beside, helper\n")
    (folder / "src" / "beside.py").write_text("")
    found = collect(folder / "src" / "job.py", folder=folder)
    assert found.entry == "src/job.py"
    assert {"src/job.py", "src/beside.py", "helper.py", "second.py"} <= set(found.files)
    assert [one.words for one in check(collect(folder / "src" / "job.py"), {})] != []
    with pytest.raises(SetupError, match="does not lie in"):
        collect(folder / "train.py", folder=folder / "src")


def test_too_many_files_are_told_before_they_are_sent(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle, "MOST_FILES", 5)
    with pytest.raises(SetupError, match="more than 5 files"):
        collect(folder / "train.py")


def program(folder: Path, text: str, name: str = "main.py") -> Program:
    (folder / name).write_text(text)
    return collect(folder / name)


@pytest.mark.parametrize(
    "text",
    [
        'SparkSession.builder.master("local[*]").getOrCreate()',
        "conf.setMaster('local')",
        'builder.config("spark.master", "local[2]")',
        "SparkContext('local[4]', 'app')",
    ],
)
def test_a_local_master_is_told_with_its_line(tmp_path: Path, text: str) -> None:
    (found,) = check(program(tmp_path, f"import os\n{text}\n"), {})
    assert (found.place, found.fatal) == ("main.py:2", False)
    assert "changes nothing" in found.words


def test_a_missing_module_is_told_unless_something_may_bring_it(tmp_path: Path) -> None:
    text = "import numpy, sklearn.svm, PIL, pyspark.sql\nfrom nowhere.a import b\n"
    (found,) = check(program(tmp_path, text), {})
    assert (found.place, found.fatal) == ("main.py:2", True)
    assert "imports nowhere" in found.words
    assert check(program(tmp_path, text), {"python_env": "env.tar.gz"}) == []
    assert check(program(tmp_path, text), {"requirements": ["nowhere>=2"]}) == []
    (doubtful,) = check(program(tmp_path, text), {"requirements": ["some-other"]})
    assert not doubtful.fatal
    (tmp_path / "requirements.txt").write_text("# why\nNoWhere[extra]==1 --hash=sha256:0\n")
    assert check(program(tmp_path, text), {}) == []


@pytest.mark.parametrize(
    "text",
    [
        "try:\n    import nowhere\nexcept ImportError:\n    nowhere = None\n",
        "try:\n    import nowhere\nexcept (ValueError, ModuleNotFoundError):\n    pass\n",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import nowhere\n",
        "text = 'import nowhere'\n",
    ],
)
def test_a_module_that_the_program_can_do_without_is_not_missing(tmp_path: Path, text: str) -> None:
    assert check(program(tmp_path, text), {}) == []


def test_what_is_no_python_is_told(tmp_path: Path) -> None:
    (found,) = check(program(tmp_path, "import os\nprint 'a'\n"), {})
    assert (found.place, found.fatal) == ("main.py:2", True)
    (tmp_path / "main.py").write_bytes(b"\xff\x00")
    assert check(collect(tmp_path / "main.py"), {})[0].fatal


def notebook(*cells: str) -> str:
    return json.dumps({"cells": [{"cell_type": "code", "source": cell.splitlines(True)} for cell in cells]})


def test_a_notebook_is_read_cell_by_cell(tmp_path: Path) -> None:
    (tmp_path / "helper.py").write_text("")
    cells = [
        "%matplotlib inline\nimport helper\n",
        "!pip install x\n",
        "text = '''\n%s of it\n'''\n",
        "import nowhere",
    ]
    found = program(tmp_path, notebook(*cells), "a.ipynb")
    assert "helper.py" in found.files
    assert [(one.fatal, one.words.split()[0]) for one in check(found, {})] == [
        (True, "'!pip"),
        (True, "imports"),
    ]
    assert check(program(tmp_path, "{}", "a.ipynb"), {})[0].words == "cannot be read as a program"


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.parent.name)
def test_nothing_fatal_is_said_of_the_examples(path: Path) -> None:
    job = {"python_env": "env.tar.gz"} if path.parent.name == "torch" else {}
    assert [one for one in check(collect(path), job) if one.fatal] == []


def test_the_packages_of_the_market_are_called_as_its_own_python_says() -> None:
    """Ask the jobs' Python what can be imported of each package of the list."""
    python = settings.load().paths.runtime / "bin" / "python"
    assert python.exists(), "nothing is set up yet: run ./market setup"
    asked = "import importlib.metadata as m, json; print(json.dumps(m.packages_distributions()))"
    done = subprocess.run([str(python), "-c", asked], capture_output=True, text=True, check=True)
    brought: dict[str, list[str]] = json.loads(done.stdout)
    known = runtime_modules()
    listed = {name for packages in brought.values() for name in packages}
    for package in listed - {"pip", "setuptools"}:
        mine = [
            name for name, packages in brought.items() if package in packages and not name.startswith("_")
        ]
        assert not mine or known & set(mine), (package, mine)
    assert modules("Scikit.Learn") == ("sklearn",)
    assert sys.version_info >= (3, 10)


def test_each_folder_has_a_place_of_its_own(tmp_path: Path) -> None:
    def root(name: str) -> str:
        (tmp_path / name).mkdir(exist_ok=True)
        return default_root(program(tmp_path / name, ""))

    first, second = root("a b"), root("a_b")
    assert first.startswith("run/a-b-")
    assert first == root("a b") != second


def test_what_the_fields_of_a_job_name_goes_along(folder: Path) -> None:
    job = {"libs": ["unused.py"], "archives": ["data.csv"], "python_env": "words.txt"}
    found = collect(folder / "second.py", bundle.beside(job))
    assert sorted(found.files) == ["data.csv", "second.py", "unused.py", "words.txt"]
    assert bundle.beside({}) == []


def test_a_program_in_java_goes_alone(folder: Path) -> None:
    (folder / "app.jar").write_bytes(b"PK")
    found: Any = collect(folder / "app.jar")
    assert list(found.files) == ["app.jar"]
    assert check(found, {}) == []
