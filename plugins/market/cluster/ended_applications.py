"""Applications that have ended, as the ResourceManager summed them up: also those that it has forgotten.

It keeps a bounded number of ended applications. Of each it writes one line into a file of its own when it
ends (`RMAppManager$ApplicationSummary`), before it forgets any. Users wrote parts of a line, so what
separates its parts is escaped there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from market.cluster.resourcemanager import App
from market.kit import whole
from market.kit.text import storable

_MOST_FILES = 100
_MAX_LINE = 1 << 20
_MAX_DIAGNOSTICS = 64 << 10
_HEAD = b"appId="
_PART = re.compile(r"((?:[^,=\\]|\\.)*)=((?:[^,\\]|\\.)*)(?:,|\Z)", re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_CONTROL = {"n": "\n", "r": "\r"}
_MOST = 2**63 - 1


class EndedApplications:
    """The file of summaries, and the older ones beside it, which have numbers."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def by_id(self, application_ids: Iterable[str]) -> dict[str, App]:
        """Return those of the applications that have ended."""
        left = {application_id.encode() for application_id in application_ids}
        found: dict[str, App] = {}
        for line in self._lines(lambda: bool(left)):
            application_id = line[len(_HEAD) : line.find(b",")]
            if application_id in left and (app := _app(line)) is not None:
                left.discard(application_id)
                found[app.application_id] = app
        return found

    def with_tag(self, tag: str) -> App | None:
        """Return the last application with a tag that has ended."""
        sought = tag.encode()
        found: list[App] = []
        for line in self._lines(lambda: not found):
            if sought in line and (app := _app(line)) is not None and tag in app.tags:
                found.append(app)
        return found[-1] if found else None  # in a file later ones stand below

    def _lines(self, wanted: Callable[[], bool]) -> Iterator[bytes]:
        """Yield the lines of the newest file, and of older ones while they are wanted."""
        for number in range(_MOST_FILES):
            path = self._file.with_name(f"{self._file.name}.{number}") if number else self._file
            if not wanted() or (number > 1 and not path.exists()):  # the first two may just be renamed
                return
            with suppress(FileNotFoundError), path.open("rb") as file:
                while line := file.readline(_MAX_LINE):
                    if line.startswith(_HEAD):
                        yield line


def _app(line: bytes) -> App | None:
    """Return the application of a line; None for one that is not whole."""
    parts = {
        name: _ESCAPED.sub(lambda match: _CONTROL.get(match[1], match[1]), value)
        for name, value in _PART.findall(line.decode(errors="replace").rstrip("\n"))
    }

    def number(name: str) -> int:
        return whole.parsed(parts.get(name, ""), _MOST) or 0

    if not {"appId", "state", "finalStatus", "finishTime"} <= parts.keys():
        return None
    return App(
        application_id=parts["appId"],
        user=parts.get("user", ""),
        name=storable(parts.get("name", "")),
        queue=parts.get("queue", ""),
        state=parts["state"],
        final_status=parts["finalStatus"],
        diagnostics=storable(parts.get("diagnostics", ""), _MAX_DIAGNOSTICS),
        tags=tuple(tag for tag in parts.get("applicationTags", "").split(",") if tag),
        started_ms=number("startTime"),
        finished_ms=number("finishTime"),
        allocated_mib=0,
        allocated_vcores=0,
        running_containers=0,
        memory_seconds=number("memorySeconds"),
        vcore_seconds=number("vcoreSeconds"),
        preempted_memory_seconds=number("preemptedMemorySeconds"),
        preempted_vcore_seconds=number("preemptedVcoreSeconds"),
        log_aggregation="",
        am_http_address="",
    )
