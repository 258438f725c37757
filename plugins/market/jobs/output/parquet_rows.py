"""The first rows of a Parquet file, as JSON; a program of its own, which `tables.py` runs.

The file is a stranger's, and its reader is C++ that believes what the file says of itself: a page of some
bytes may claim gigabytes. So it is read in a process that has no variables of the market's, little memory,
little time, and can write nothing but its answer.

Standard input: the file. Arguments: rows and columns at most, and characters of a cell at most.
"""

from __future__ import annotations

import json
import resource
import sys
from typing import Any

_MEMORY = 2 << 30  # of addresses: much of it the libraries' own
_PROCESSOR_S = 10


def main() -> None:
    """Answer `{columns: [{name, type}], rows: [[text]], more}`."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (_PROCESSOR_S, _PROCESSOR_S))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    most_rows, most_columns, longest = map(int, sys.argv[1:4])
    import pyarrow  # noqa: PLC0415 - under the limits, which it would have loaded its libraries before
    from pyarrow import parquet  # noqa: PLC0415

    pyarrow.set_cpu_count(1)
    file = parquet.ParquetFile(pyarrow.BufferReader(sys.stdin.buffer.read()))
    fields = list(file.schema_arrow)[:most_columns]
    batches = file.iter_batches(most_rows, columns=[field.name for field in fields], use_threads=False)
    columns: list[Any] = next((batch.slice(0, most_rows).columns for batch in batches), [])
    answer = {
        "columns": [{"name": field.name[:longest], "type": str(field.type)[:longest]} for field in fields],
        "rows": [[_text(cell.as_py(), longest) for cell in row] for row in zip(*columns, strict=True)],
        "more": file.metadata.num_rows > most_rows or file.metadata.num_columns > most_columns,
    }
    json.dump(answer, sys.stdout)


def _text(value: Any, longest: int) -> str | None:
    """Return a value as a cell shows it, cut where it is long; None for a missing one."""
    if value is None:
        return None
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    if isinstance(value, list):  # of a vector of thousands, only what is shown is written
        value = value[:longest]
    text = value if isinstance(value, str) else f"{value:.6g}" if isinstance(value, float) else str(value)
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


if __name__ == "__main__":
    main()
