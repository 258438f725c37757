"""Environments side by side: each in a folder named by what makes it, and a link to the one in use.

    installs/by-digest/NAME-DIGEST/   stays as it is: who started from it runs on, whatever comes next
    installs/NAME -> by-digest/...    the one that is used by who starts now

A Python environment knows its own place, and so does the archive of Java's classes: both are made where they
stay, and only the link changes. Standard library only: this runs before anything is installed.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from distributedmarket.errors import SetupError

FOLDER = "by-digest"
_DIGITS = 16


def place(installs: Path, name: str, inputs: Iterable[bytes]) -> Path:
    """Return where the environment of this name belongs that these inputs make."""
    digest = hashlib.sha256()
    for part in inputs:
        digest.update(hashlib.sha256(part).digest())
    return installs / FOLDER / f"{name}-{digest.hexdigest()[:_DIGITS]}"


def use(link: Path, target: Path) -> None:
    """Have `link` name `target` from now on, in one move.

    A folder in the link's place, as it was before environments lay side by side, is deleted. Raises
    SetupError while somebody runs from such a folder.
    """
    if link.is_dir() and not link.is_symlink():
        refuse_in_use(link)
        gone = target.with_name(f"{link.name}.gone")
        link.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)
    fresh = link.with_name(f".{link.name}.new")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target)
    fresh.replace(link)


def real(path: Path) -> Path:
    """Return the folder that a link names; a path that is no link as it is.

    One step only: what was made in a folder knows it by this name, not by that of a disk below.
    """
    return path.parent / os.readlink(path) if path.is_symlink() else path


def refuse_in_use(folder: Path) -> None:
    """Raise SetupError if a process was started from a folder that is to be replaced; never for a link.

    Such a process reads on in the folder for as long as it runs, and would find what does not fit.
    """
    if folder.is_symlink() or not folder.is_dir():
        return
    found = users(folder)
    if found:
        raise SetupError(
            f"{folder} is to be replaced, and {len(found)} processes run from it (the first is {found[0]}):"
            " stop them (./market down), then run the same command again"
        )


def users(folder: Path) -> list[int]:
    """Return the processes, this one aside, that have a file of a folder in their command or their memory.

    The command of one that was started by a link names the link; its libraries lie in the folder.
    """
    prefix = f"{folder}/".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            if any(prefix in (entry / name).read_bytes() for name in ("cmdline", "maps")):
                found.append(int(entry.name))
        except OSError:  # it ended meanwhile, or is another user's
            continue
    return sorted(found)
