"""Which paths of a user's are taken."""

from __future__ import annotations

import pytest

from market.hadoop import paths
from market.kit.errors import BadInputError


@pytest.mark.parametrize(
    "path",
    [
        ".",
        "digits",
        "a/b/c.py",
        "with space/ü/日本.py",
        "..data/x..y",
        ".hidden",
        "%2e%2e",
        "*?[]{}$`'\"\\#&;|",
        "a" * 255,
    ],
)
def test_a_path_comes_out_as_it_came(path: str) -> None:
    assert paths.relative(path, "root_path") == path


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/etc/passwd",
        "..",
        "../bob",
        "a/../b",
        "a/..",
        "./a",
        "a/.",
        "a/./b",
        "a//b",
        "a/",
        "hdfs://other/x",
        "file:x",
        "a:b",
        "a\nb",
        "a\0b",
        "a\x7fb",
        "a\x85b",
        "\ud800",
        "a" * 256,
        "ü" * 128,
        "a/" * 4000 + "a",
    ],
)
def test_a_path_that_leaves_the_home_or_that_hdfs_does_not_take(path: str) -> None:
    with pytest.raises(BadInputError) as caught:
        paths.relative(path, "root_path")
    assert list(caught.value.errors) == ["root_path"]


def test_where_things_lie() -> None:
    assert paths.below("/user/alice", ".") == "/user/alice"
    assert paths.below("/user/alice", "a/b") == "/user/alice/a/b"
    folder = paths.job_folder("alice", "0f")
    assert paths.output(folder) == "/user/alice/.market-jobs/0f/output", (
        "one quota for all that is one person's"
    )
    assert paths.stored_folder("0f", folder) == folder
    assert paths.output(paths.stored_folder("0f", None), 3) == "/market/jobs/0f/output/3", "as before"
