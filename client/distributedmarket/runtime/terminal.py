"""Steps of an installation as a terminal shows them, in the manner of `./market up`.

Standard library only: this runs before anything is installed.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

_OBEYED = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(\x07|\x1b\\)|[\x00-\x1f\x7f-\x9f]")
_MINUTE, _MIB_OF_GIB = 60, 1024


def plain(text: str) -> str:
    """Return a line without colours and all else that a terminal would obey; of one rewritten the last."""
    return _OBEYED.sub("", text.rstrip("\r\n").rpartition("\r")[2]).rstrip()


@contextmanager
def step(title: str) -> Iterator[None]:
    """Show a step: on a terminal while it runs; with its seconds at its end, unless it has failed."""
    began = time.monotonic()
    if _moves():
        width = shutil.get_terminal_size().columns - 1
        _write(f"  {title} ..."[:width])
    try:
        yield
    finally:
        forget_line()
    _write(f"  {_colour('ok', '32')} {title} {_colour(f'{time.monotonic() - began:.1f} s', '2')}\n")


def say(text: str) -> None:
    """Print a line."""
    forget_line()
    _write(f"{text}\n")


def forget_line() -> None:
    """Take away the line of the step that runs, on a terminal."""
    if _moves():
        _write("\r\x1b[K")


def about(seconds: int) -> str:
    """Return a time that was estimated, in words."""
    if seconds < _MINUTE:
        return "less than a minute"
    minutes = round(seconds / _MINUTE)
    return f"about {minutes} minute{'' if minutes == 1 else 's'}"


def size(mib: int) -> str:
    """Return a size of memory or on a disk, in words."""
    return f"{mib / _MIB_OF_GIB:.1f} GiB" if mib >= _MIB_OF_GIB else f"{mib} MiB"


def _write(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()


def _moves() -> bool:
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


def _colour(text: str, code: str) -> str:
    return f"\x1b[{code}m{text}\x1b[0m" if _moves() and not os.environ.get("NO_COLOR") else text
