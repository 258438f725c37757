"""A machine's files on a disk of their own, a file of a fixed size: what fills it fills nothing else.

Only root may mount one, in the machine's own mount namespace: it goes with the machine. The file takes as
much of the host's disk as is stored in it. Standard library only.
"""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress
from pathlib import Path

ROOMS = ("", "local", "logs", "tmp", "home")  # of a machine's folder for work
_MAKE = ("mkfs.ext4", "-q", "-F", "-m", "0", "-O", "^has_journal", "-E", "lazy_itable_init=1,nodiscard")


def make(image: Path, mib: int) -> None:
    """Make an empty disk of so many MiB. Raises OSError or SubprocessError."""
    image.unlink(missing_ok=True)
    with image.open("xb") as file:
        file.truncate(mib << 20)
    image.chmod(0o600)
    subprocess.run([*_MAKE, str(image)], check=True, capture_output=True, env=_environment())


def remove(image: Path) -> None:
    """Remove it; while it is mounted, its space comes back with the end of that."""
    with suppress(OSError):
        image.unlink()


def mount(image: Path, work: Path, uid: int, gid: int) -> None:
    """Mount it as a folder for work, with rooms for an account. Raises OSError or SubprocessError."""
    # Deleted files give their space back to the host at once.
    words = ["mount", "-t", "ext4", "-o", "loop,nosuid,nodev,discard", str(image), str(work)]
    subprocess.run(words, check=True, capture_output=True, env=_environment())
    make_rooms(work, uid, gid)
    os.chdir(work)


def make_rooms(work: Path, uid: int, gid: int) -> None:
    """Make the folders that jobs write in, and give them to the account of the jobs."""
    for name in ROOMS:
        room = work / name
        room.mkdir(exist_ok=True)
        os.chown(room, uid, gid)
        room.chmod(0o1777 if name == "tmp" else 0o750)


def _environment() -> dict[str, str]:
    return {"PATH": f"{os.defpath}:/usr/sbin:/sbin", "LC_ALL": "C"}
