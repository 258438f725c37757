"""The first rows of tables that programs wrote, honest or not; HDFS is played."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet

from market.cluster.hdfs import File, FileStatus
from market.jobs.output import results, tables
from market.kit.errors import BadInputError, TooLargeError

Show = Callable[[str, bytes], tables.Table]


class Files:
    """One file, of which what was read is counted."""

    def __init__(self, content: bytes) -> None:
        self.content, self.read = content, 0

    def open(self, _: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        part = self.content[offset : None if length is None else offset + length]
        self.read += len(part)
        return iter([part])


@pytest.fixture
def show(monkeypatch: pytest.MonkeyPatch) -> Show:
    def shown(path: str, content: bytes) -> tables.Table:
        status = FileStatus("", len(content), False, 7, "600", "alice")
        file = File(status, Files(content), path)  # type: ignore[arg-type]
        monkeypatch.setattr(results, "open_file", lambda *_: file)
        return tables.first_rows(SimpleNamespace(), path)  # type: ignore[arg-type]

    return shown


def names(table: tables.Table) -> list[str]:
    return [column["name"] for column in table.columns]


def test_csv_is_shown_with_its_head_and_ragged_rows(show: Show) -> None:
    table = show("a/b.csv", '\ufeffname,figure\n"a, ""b""",1\nc\nd,2,3\n'.encode())
    assert names(table) == ["name", "figure", ""]
    assert table.rows == [['a, "b"', "1", None], ["c", None, None], ["d", "2", "3"]]
    assert not table.more


def test_tabs_part_what_is_called_so(show: Show) -> None:
    assert show("x.TSV", b"a\tb\n1\t2\n").rows == [["1", "2"]]


def test_of_a_long_file_the_first_hundred_rows_are_shown(show: Show) -> None:
    table = show("x.csv", b"n\n" + b"".join(b"%d\n" % n for n in range(500)))
    assert [row[0] for row in table.rows] == [str(n) for n in range(100)]
    assert table.more
    assert len(show("x.csv", b"n\n" + b"1\n" * 100).rows) == 100
    assert not show("x.csv", b"n\n" + b"1\n" * 100).more


def test_of_long_lines_only_whole_ones_are_shown(show: Show) -> None:
    row = b",".join([b"x" * 100_000] * 4) + b"\n"
    table = show("x.csv", b"a,b,c,d\n" + row * 5)
    assert len(table.rows) == 2
    assert {len(cell or "") for cell in table.rows[0]} == {200}
    assert table.more


def test_nothing_and_no_table_at_all(show: Show) -> None:
    assert show("x.csv", b"") == tables.Table([], [], False)
    with pytest.raises(BadInputError, match="cannot be read as a table"):
        show("x.csv", b"a\n" + b"x" * 200_000)
    with pytest.raises(BadInputError, match=r"must end in .csv"):
        show("model.joblib", b"x")


def written(columns: dict[str, Any], **options: Any) -> bytes:
    out = io.BytesIO()
    parquet.write_table(pyarrow.table(columns), out, **options)
    return out.getvalue()


def test_parquet_is_shown_with_its_types(show: Show) -> None:
    columns = {
        "label": ["a" * 300, None],
        "score": [0.1234567, 2.0],
        "vector": [[1, 2], None],
        "raw": [b"abc", b""],
    }
    table = show("part-0.snappy.parquet", written(columns, compression="snappy"))
    assert [(one["name"], one["type"]) for one in table.columns][:2] == [
        ("label", "string"),
        ("score", "double"),
    ]
    assert table.rows == [
        [f"{'a' * 199}…", "0.123457", "[1, 2]", "3 bytes"],
        [None, "2", None, "0 bytes"],
    ]
    assert not table.more


def test_of_large_parquet_the_first_rows_are_shown(show: Show) -> None:
    columns = {f"c{index}": list(range(5000)) for index in range(70)}
    table = show("x.parquet", written(columns))
    assert (len(table.rows), len(table.columns), table.more) == (100, 60, True)
    assert table.rows[99][0] == "99"


def test_parquet_without_rows_has_its_columns(show: Show) -> None:
    table = show("x.parquet", written({"a": pyarrow.array([], pyarrow.int64())}))
    assert (names(table), table.rows, table.more) == (["a"], [], False)


def test_what_is_no_parquet_is_refused_in_words(show: Show) -> None:
    good = written({"a": [1, 2, 3]})
    for content in (
        b"",
        b"PAR1",
        b"PAR1" + bytes(1000) + b"PAR1",
        good[: len(good) // 2],
        good[:-40] + bytes(40),
    ):
        with pytest.raises(BadInputError, match="no Parquet file that can be shown"):
            show("x.parquet", content)
    with pytest.raises(TooLargeError, match="32 MiB"):
        show("x.parquet", bytes((32 << 20) + 1))


def test_a_page_that_unfolds_to_gigabytes_takes_none_of_the_market_s_memory(show: Show) -> None:
    """A column of one value, a gigabyte long, in a file of some kilobytes."""
    column = pyarrow.array(["x" * (1 << 20)]).dictionary_encode()
    repeated = pyarrow.DictionaryArray.from_arrays(
        pyarrow.array([0] * 4096, pyarrow.int32()), column.dictionary
    )
    content = written({"a": repeated}, compression="zstd")
    assert len(content) < 1 << 20
    try:
        table = show("x.parquet", content)
    except BadInputError:
        return  # its reader came to its end of memory, and nobody else
    assert {len(row[0] or "") for row in table.rows} == {200}
