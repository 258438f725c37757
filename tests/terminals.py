"""A terminal for a command: a pseudo-terminal, and what would stand on its screen."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

_SEQUENCE = re.compile(r"\x1b\[([0-9;]*)([A-Za-z])")


class Terminal:
    """Runs a command in a terminal of 100 columns, and keeps all that it prints."""

    def __init__(self, words: Sequence[str], environment: Mapping[str, str], folder: Path) -> None:
        self._master, slave = pty.openpty()
        termios.tcsetwinsize(slave, (50, 100))
        self._process = subprocess.Popen(
            words,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={"TERM": "xterm", **environment},
            cwd=folder,
            start_new_session=True,
            preexec_fn=lambda: _own_terminal(0),
        )
        os.close(slave)
        self.printed = ""

    def until(self, words: str, deadline_s: float = 60) -> None:
        """Read on until it has printed these words."""
        until = time.monotonic() + deadline_s
        while words not in self.printed:
            if not self._read(until - time.monotonic()):
                raise AssertionError(f"{words!r} did not come:\n{self.printed}")

    def type(self, text: str, until_end: bool = False, deadline_s: float = 60) -> None:
        """Type something, once or each second until the command ends.

        Python does not hear a Ctrl-C that comes between its question and the reading of the answer.
        """
        os.write(self._master, text.encode())
        until = time.monotonic() + deadline_s
        while until_end and self._process.poll() is None and time.monotonic() < until:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(1)
                return
            os.write(self._master, text.encode())

    def end(self, deadline_s: float = 60) -> int:
        """Read what is left; return the exit code."""
        until = time.monotonic() + deadline_s
        try:
            while self._read(until - time.monotonic()):
                pass
            return self._process.wait(max(0.1, until - time.monotonic()))
        finally:
            self.close()

    def close(self) -> None:
        """Stop it, whatever it does."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        if self._master >= 0:
            os.close(self._master)
            self._master = -1

    @property
    def screen(self) -> list[str]:
        """The lines that stand there in the end, without colours and blanks at their ends."""
        lines, column = [""], 0
        text = self.printed.replace("\r\n", "\n")
        place = 0
        while place < len(text):
            match = _SEQUENCE.match(text, place)
            if match:
                if match.group(2) == "K":
                    lines[-1] = lines[-1][:column]
                place = match.end()
                continue
            sign = text[place]
            place += 1
            if sign == "\n":
                lines.append("")
                column = 0
            elif sign == "\r":
                column = 0
            else:
                lines[-1] = lines[-1][:column].ljust(column) + sign + lines[-1][column + 1 :]
                column += 1
        return [line.rstrip() for line in lines]

    def _read(self, wait_s: float) -> bool:
        ready, _, _ = select.select([self._master], [], [], max(0.0, wait_s))
        if not ready:
            return False
        try:
            chunk = os.read(self._master, 1 << 16)
        except OSError:  # nobody has the other side open any more
            return False
        self.printed += chunk.decode(errors="replace")
        return bool(chunk)


def _own_terminal(descriptor: int) -> None:
    """Make a descriptor the terminal of this session, so that Ctrl-C reaches the command."""
    import fcntl  # noqa: PLC0415 - between fork and exec, where the module is loaded already

    fcntl.ioctl(descriptor, termios.TIOCSCTTY, 0)
