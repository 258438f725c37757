"""The first rows of a result that is a table, CSV or Parquet, for looking at it without fetching it."""

from __future__ import annotations

import csv
import io
import json
import logging
import subprocess
import sys
import threading
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from market.cluster.errors import HdfsDenied, HdfsNotFound
from market.cluster.hdfs import File
from market.jobs.output import results
from market.kit.errors import BadInputError, BusyError, NotFoundError, TooLargeError
from market.kit.text import storable

if TYPE_CHECKING:
    from market.jobs.store import Job

log = logging.getLogger(__name__)

MOST_ROWS = 100
_MOST_COLUMNS = 60
_LONGEST_CELL = 200
_CSV_BYTES = 1 << 20  # read of a file: its beginning has the first rows
_PARQUET_BYTES = 32 << 20  # its end says where the rows are: it is read whole, or not at all
_READING_S = 20.0
_READER = Path(__file__).with_name("parquet_rows.py")
# Each reader is a process with up to a quarter of a GiB: two at a time, and who would wait long is told so.
_readers = threading.BoundedSemaphore(2)
_PATIENCE_S = 5.0
_DELIMITERS = {".csv": ",", ".tsv": "\t"}
_UNREADABLE = "is no Parquet file that can be shown here; download it to read it"


@dataclass(frozen=True)
class Table:
    """The beginning of a table. Cells are texts, cut where they are long; None: a missing value.

    `more`: there are rows or columns beyond these.
    """

    columns: list[dict[str, str]]
    rows: list[list[str | None]]
    more: bool


def first_rows(job: Job, path: str) -> Table:
    """Return the first 100 rows of a result `.csv`, `.tsv` or `.parquet`.

    Raises NotFoundError, BadInputError for a file of another kind or one that cannot be read, TooLargeError
    for a Parquet file over 32 MiB, and BusyError while others are read.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in (*_DELIMITERS, ".parquet"):
        raise BadInputError({"path": ["is no table: its name must end in .csv, .tsv or .parquet"]})
    file = results.open_file(job, path)
    try:
        if suffix == ".parquet":
            return _parquet(file)
        return _separated(file, _DELIMITERS[suffix])
    except (HdfsNotFound, HdfsDenied):
        raise NotFoundError(f"{path} is not there any more, or may not be read.") from None


def _separated(file: File, delimiter: str) -> Table:
    text = b"".join(file.chunks(0, _CSV_BYTES)).decode(errors="replace").removeprefix("\ufeff")
    cut = file.status.size > _CSV_BYTES
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        lines = list(islice(reader, MOST_ROWS + 2))
    except csv.Error as error:
        raise BadInputError({"path": [f"cannot be read as a table: {error}"]}) from None
    if cut and len(lines) < MOST_ROWS + 2:
        lines = lines[:-1]  # the last one broke off
    names, rows = (lines[0], lines[1 : MOST_ROWS + 1]) if lines else ([], [])
    width = min(_MOST_COLUMNS, max(map(len, lines), default=0))
    names = [*names, *[""] * (width - len(names))]
    return Table(
        [{"name": _cell(name), "type": "text"} for name in names[:width]],
        [[_cell(cell) for cell in row[:width]] + [None] * (width - len(row)) for row in rows],
        cut or len(lines) > MOST_ROWS + 1 or max(map(len, lines), default=0) > width,
    )


def _cell(text: str) -> str:
    return text if len(text) <= _LONGEST_CELL else f"{text[: _LONGEST_CELL - 1]}…"


def _parquet(file: File) -> Table:
    if file.status.size > _PARQUET_BYTES:
        raise TooLargeError(
            f"Tables in Parquet are shown up to {_PARQUET_BYTES >> 20} MiB; download this one."
        )
    if not _readers.acquire(timeout=_PATIENCE_S):
        raise BusyError("Other tables are being read. Try again in a moment.")
    try:
        answer = _read(b"".join(file.chunks()))
    finally:
        _readers.release()
    try:
        found = json.loads(answer)
        return Table(
            [{name: storable(column[name]) for name in ("name", "type")} for column in found["columns"]],
            [[None if cell is None else storable(cell) for cell in row] for row in found["rows"]],
            bool(found["more"]),
        )
    except (ValueError, TypeError, KeyError):
        raise BadInputError({"path": [_UNREADABLE]}) from None


def _read(content: bytes) -> bytes:
    """Return what the reader answers; raises BadInputError if it ends otherwise than with an answer."""
    bounds = map(str, (MOST_ROWS, _MOST_COLUMNS, _LONGEST_CELL))
    # Without the market's variables; the system's allocator, since Arrow's own reserves more than there is.
    options: dict[str, Any] = {
        "env": {"ARROW_DEFAULT_MEMORY_POOL": "system", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
        "cwd": "/",
    }
    try:
        done = subprocess.run(
            [sys.executable, "-I", str(_READER), *bounds],
            input=content,
            capture_output=True,
            timeout=_READING_S,
            check=True,
            **options,
        )
    except subprocess.TimeoutExpired:
        raise BadInputError({"path": ["takes too long to read; download it to read it"]}) from None
    except subprocess.CalledProcessError as error:
        log.info("a Parquet file cannot be read: %r", error.stderr[-500:])
        raise BadInputError({"path": [_UNREADABLE]}) from None
    return done.stdout
