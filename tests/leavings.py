"""What programs leave running when they end, and counting it."""

from __future__ import annotations

import os
from pathlib import Path

# A program that is called with a mark, after which all that it leaves is called.
PROGRAM = """
import os, subprocess, sys

IDLE = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    "print(flush=True); time.sleep(600)"
)


def leave(mark, role):
    def words(kind):
        return [sys.executable, "-c", IDLE, f"{mark} {role} {kind}"]

    def begun(kind, **options):
        subprocess.Popen(words(kind), stdout=subprocess.PIPE, **options).stdout.readline()

    begun("child that does not listen")
    begun("in a session of its own", start_new_session=True)
    heard, told = os.pipe()
    first = os.fork()
    if not first:  # twice, and without an environment to be known by
        os.setsid()
        if os.fork():
            os._exit(0)
        os.dup2(told, 1)
        os.execve(sys.executable, words("daemon without an environment"), {})
    os.waitpid(first, 0)
    os.read(heard, 1)
"""
KINDS = 3


def marked(mark: str) -> list[str]:
    """Return the names of the processes of this host that have a word that begins with a mark."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue  # ended meanwhile
            found += [word.decode() for word in words if word.startswith(mark.encode())]
    return found
