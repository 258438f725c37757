"""docs/first-job.md, line by line: what is typed there, and what it shows."""

from __future__ import annotations

import os
import re
import secrets
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from terminals import Terminal

from market.kit import settings

PAGE = settings.ROOT / "docs" / "first-job.md"
ADDRESS, NAME = "http://127.0.0.1:8080", "ada"
JOB_S = 240
# How a job waits depends on what else runs, and which of it is seen on when one looks.
_ON_ITS_WAY = re.compile(r"ID (submitted|queued|accepted|waiting).*")


@dataclass(frozen=True)
class Typed:
    """A line of the page that is typed, and what stands below it."""

    line: str
    shown: list[str]


def blocks(kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", PAGE.read_text(), re.DOTALL)


def alike(lines: list[str]) -> list[str]:
    """Return lines without what is another one each time: ids, figures, times, and how wide columns are."""
    found = []
    for line in lines:
        text = re.sub(r"\b[0-9a-f]{32}\b|\b[0-9a-f]{8}\b", "ID", line)
        text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d", "TIME", text)
        text = re.sub(r"(\d+ (h|min|s)\b ?)+", "SPAN ", text)
        text = re.sub(r"\d+(\.\d+)?", "N", text)
        found.append(" ".join(text.split()))
    return [line for line in found if line and not _ON_ITS_WAY.fullmatch(line)]


class Desk:
    """A folder and an environment in which `market` is a command, with the programs of the page.

    Somebody of another name than the page's does what stands there, at a market of another address.
    """

    def __init__(self, folder: Path, server: str) -> None:
        self.folder, self.server = folder, server
        self.name = f"{NAME}-{secrets.token_hex(3)}"
        self.terminal: Terminal | None = None  # the last one
        programs = folder / "bin"
        programs.mkdir()
        command = programs / "market"
        command.write_text(f'#!/bin/sh\nexec {sys.executable} -m distributedmarket.cli "$@"\n')
        command.chmod(0o755)
        (folder / "password").write_text(secrets.token_hex(12))
        for name, text in zip(("pi.py", "darts.py"), blocks("python"), strict=False):
            (folder / name).write_text(text)
        self.environment = {
            "PATH": f"{programs}:{os.defpath}",
            "PYTHONPATH": str(settings.ROOT / "client"),
            "HOME": str(folder),
            "LANG": "C.UTF-8",
        }

    def page(self) -> Iterator[Typed]:
        """Yield the page's lines as this person types and sees them."""
        for block in blocks("console"):
            for part in block.removeprefix("$ ").split("\n$ "):
                line, *shown = part.rstrip("\n").split("\n")
                yield Typed(self._mine(line), [self._mine(text) for text in shown])

    def types(self, line: str) -> tuple[int, list[str]]:
        """Type a line, and y where it asks whether to pay; return its exit code and the screen."""
        terminal = self.terminal = Terminal(["sh", "-c", line], self.environment, self.folder)
        try:
            if re.match(r"market run (?!--yes)", line):
                terminal.until("[y/N] ", JOB_S)
                terminal.type("y\n")
            return terminal.end(JOB_S), terminal.screen
        finally:
            terminal.close()

    def _mine(self, text: str) -> str:
        return re.sub(rf"\b{NAME}\b", self.name, text.replace(ADDRESS, self.server))
