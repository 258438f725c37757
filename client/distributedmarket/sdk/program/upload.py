"""A program's files in a home of the market: only what has changed since the last time is sent."""

from __future__ import annotations

import hashlib
import json
import os
import re
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distributedmarket.client import MarketApiError
from distributedmarket.errors import SetupError
from distributedmarket.sdk.program.bundle import Program
from distributedmarket.sdk.transfer import digest

if TYPE_CHECKING:
    from distributedmarket.sdk.market import Market

_PLACE = "run"  # in the home
_MISSING = 404


def default_root(program: Program) -> str:
    """Return where a program goes: a folder of its own for each folder of each host."""
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", program.folder.name).strip("-")[:40] or "program"
    whole = f"{socket.gethostname()}:{program.folder}".encode()
    return f"{_PLACE}/{name}-{hashlib.sha256(whole).hexdigest()[:8]}"


def upload(
    market: Market, program: Program, root: str, on_file: Callable[[str], object] = lambda path: None
) -> list[str]:
    """Have a folder of the home hold a program's files; return those that were sent.

    A file counts as there when it has this content, and nobody has changed it in the market since it was
    sent. What was sent for an earlier run and is no longer part of the program goes; what others have put
    there stays. Raises SetupError for a file that cannot be read.
    """
    memory = _memory(market, root)
    known = _read(memory)
    there = {entry["path"][len(root) + 1 :]: entry for entry in market.files.walk(root)}
    kept, sent = {}, []
    try:
        for path, file in sorted(program.files.items()):
            content = _digest(file)
            before, now = known.get(path), there.get(path)
            if before and now and before == _entry(content, now):
                kept[path] = before
                continue
            on_file(path)
            kept[path] = _entry(content, market.files.put(file, f"{root}/{path}"))
            sent.append(path)
        for path in known.keys() - program.files.keys():
            if path in there:
                _delete(market, f"{root}/{path}")
    finally:
        _write(memory, {**known, **kept} if len(kept) < len(program.files) else kept)
    return sent


def _entry(content: str, entry: Any) -> dict[str, Any]:
    """Return what is remembered of a file that was sent: what it was here, and what it is there."""
    return {"sha256": content, "size": entry["size"], "modified_time": entry["modified_time"]}


def _digest(file: Path) -> str:
    try:
        return digest(file)
    except OSError as error:
        raise SetupError(f"{file}: {error.strerror}") from None


def _delete(market: Market, path: str) -> None:
    try:
        market.files.delete(path)
    except MarketApiError as error:
        if error.status != _MISSING:
            raise


def _memory(market: Market, root: str) -> Path:
    """Return where it is remembered what was sent to a folder."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    name = hashlib.sha256(f"{market.client.url}\n{market.user_id}\n{root}".encode()).hexdigest()[:32]
    return cache / "distributedmarket" / "uploads" / f"{name}.json"


def _read(memory: Path) -> dict[str, dict[str, Any]]:
    try:
        found = json.loads(memory.read_text())
        return found if isinstance(found, dict) else {}
    except (OSError, ValueError):
        return {}  # then everything is sent again


def _write(memory: Path, entries: dict[str, dict[str, Any]]) -> None:
    with suppress(OSError):  # without it the next run sends everything again
        memory.parent.mkdir(parents=True, exist_ok=True)
        fresh = memory.with_suffix(f".{os.getpid()}")
        fresh.write_text(json.dumps(entries))
        fresh.replace(memory)
