"""Which program runs, and that all that it names is there: looked at in a real HDFS, as the user."""

from __future__ import annotations

import io
import secrets
import tarfile
from collections.abc import Iterator
from typing import Any

import pytest

from market.cluster.clients import hdfs
from market.jobs.intake import program
from market.kit import settings
from market.kit.errors import BadInputError, TooLargeError
from market.people import homes

pytestmark = pytest.mark.cluster

FILES = (
    *("one/train.py", "one/helper.py", "one/notes.txt", "two/main.py", "two/other.py", "two/a/d.zip"),
    *("two/b/d.zip", "two/d ü.zip", "two/my lib.jar", "two/e.txt", "two/env.tar.gz", "two/a/main.py"),
    *("two/nested.tar.gz", "three/train.ipynb"),
)


def _packed(*names: str) -> bytes:
    """Return a packed folder with empty files of these names."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        for name in names:
            archive.addfile(tarfile.TarInfo(name))
    return made.getvalue()


_CONTENT = {"two/env.tar.gz": _packed("bin/python"), "two/nested.tar.gz": _packed("env/bin/python")}


@pytest.fixture(scope="module")
def user(stack: settings.Settings) -> Iterator[str]:
    name = f"entry-{secrets.token_hex(4)}"
    homes.make(name)
    own = hdfs().as_user(name)
    for path in FILES:
        own.mkdirs(f"{homes.path(name)}/{path.rpartition('/')[0]}")
        own.create(f"{homes.path(name)}/{path}", iter([_CONTENT.get(path, b"x")]))
    yield name
    hdfs().delete(homes.path(name), recursive=True)


def asked(root_path: str, **fields: Any) -> dict[str, Any]:
    return {"root_path": root_path, "libs": [], "archives": [], "python_env": None} | fields


@pytest.mark.parametrize(
    ("fields", "runs"),
    [
        (asked("two"), "main.py"),
        (asked("two", entry_file="other.py"), "other.py"),
        (asked("one", libs=["helper.py"]), "train.py"),
        (asked("three"), "train.ipynb"),
        (asked("two", libs=["my lib.jar"], archives=["a/d.zip"], python_env="env.tar.gz"), "main.py"),
    ],
)
def test_the_program_that_runs(user: str, fields: dict[str, Any], runs: str) -> None:
    assert program.entry_file(user, fields) == runs


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        (asked("one"), "entry_file"),  # two programs, none called main.py
        (asked("none"), "root_path"),
        (asked("two/main.py"), "root_path"),
        (asked("two", entry_file="none.py"), "entry_file"),
        (asked("two", entry_file="main.py/x.py"), "entry_file"),
        (asked("two", entry_file="a"), "entry_file"),
        (asked("two", libs=["none.py"]), "libs"),
        (asked("two", libs=["e.txt/x.py"]), "libs"),
        (asked("two", libs=["e.txt"]), "libs"),
        (asked("two", archives=["none.zip"]), "archives"),
        (asked("two", python_env="e.txt"), "python_env"),
        (asked("two", python_env="nested.tar.gz"), "python_env"),
        # All lie in one folder in the job: Spark refuses, or silently drops, the second of a name.
        (asked("two", archives=["a/d.zip", "b/d.zip"]), "archives"),
        (asked("two", archives=["a/d.zip", "a/d.zip"]), "archives"),
        (asked("two", libs=["a/d.zip", "b/d.zip"]), "libs"),
        (asked("two", libs=["a/main.py"]), "libs"),
        (asked("two", archives=["env.tar.gz"], python_env="env.tar.gz"), "python_env"),
        (asked("two", archives=["d ü.zip"]), "archives"),  # unpacked in a folder of its name
    ],
)
def test_what_is_missing_or_does_not_do_is_named(user: str, fields: dict[str, Any], wrong: str) -> None:
    with pytest.raises(BadInputError) as caught:
        program.entry_file(user, fields)
    assert list(caught.value.errors) == [wrong]


def test_a_full_home_has_no_room_for_a_job(user: str) -> None:
    home = homes.path(user)
    used = hdfs().usage(home)
    for names, space in ((used.names + 19, -1), (-1, used.space_bytes + (16 << 20) - 1)):
        hdfs().set_quota(home, names, space)
        with pytest.raises(TooLargeError, match="Your home is full"):
            program.entry_file(user, asked("two"))
    hdfs().set_quota(home, used.names + 20, used.space_bytes + (16 << 20))
    assert program.entry_file(user, asked("two")) == "main.py"
    homes.make(user)
