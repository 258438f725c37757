"""What a container sees of its host: its own files, what it needs to run, and nothing else.

Every file system is closed to writing, and every folder at the top is hidden but those of the system's
programs. Of the machine's folder only what belongs to the container's application is put back, and what YARN
has fetched for it, which it cannot change. Its home folder and the places where everybody may write are the
container's own folder for temporary files. Standard library only.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from distributedmarket.agent import mounts

# Programs and their settings: what stands there is everybody's to read.
_OPEN = {"bin", "sbin", "lib", "lib32", "lib64", "libx32", "usr", "etc", "opt", "nix", "gnu"}
_OPEN |= {"dev", "proc", "sys"}
# Where some systems have what links in /etc lead to: name servers, certificates.
_NEEDED = ("/run/systemd/resolve", "/run/resolvconf", "/var/lib/ca-certificates")
_TEMPORARY = ("/tmp", "/var/tmp")  # noqa: S108
_SHARED_MEMORY = "/dev/shm"  # noqa: S108
_EMPTY = "mode=755,size=1m"


def own_folders(work: Path, container: Path) -> dict[Path, bool]:
    """Return what a container in a folder sees of the machine's, and whether it may write there.

    Raises ValueError if it is no container's folder.
    """
    # local/usercache/USER/appcache/APPLICATION/CONTAINER
    _, _, user, _, application, _ = container.relative_to(work).parts
    users = work / "local" / "usercache" / user
    own = {users / "appcache" / application: True, work / "logs" / application: True}
    return own | {users / "filecache": False, work / "local" / "filecache": False}


def own_trees(work: Path, container: Path) -> dict[Path, int]:
    """Return a descriptor of each of these folders, to be attached. Raises OSError or ValueError."""
    return {folder: mounts.tree(folder) for folder in own_folders(work, container) if folder.is_dir()}


def arrange(
    container: Path,
    trees: dict[Path, int],
    work: Path,
    hidden: Iterable[Path],
    needed: Iterable[Path],
    memory_mib: int,
) -> None:
    """Do it for the container in a folder, in a mount namespace of its own. Raises OSError or ValueError.

    `trees` are descriptors of the container's own folders, `work` is the machine's folder for work. Folders
    that are `hidden` are covered, those that are `needed` seen all the same. With `memory_mib`, shared memory
    is a file system of that size in memory; else it is on the disk.
    """
    before = os.umask(0o022)
    own = own_folders(work, container)
    needed = _opened([*needed, *map(Path, _NEEDED)])
    temporary = {Path(os.path.realpath(place)) for place in _TEMPORARY}
    covers = _covered([*_top(), *hidden, work.parent])
    around = temporary & set(work.parents)  # the machine's folder lies in it
    mounts.part_from_host()
    mounts.close_all()
    for folder in covers:
        mounts.cover(folder, _EMPTY)
    for folder, descriptor in needed.items():
        if not folder.exists():
            mounts.show(descriptor, folder)
        os.close(descriptor)
    for folder, descriptor in trees.items():
        mounts.attach(descriptor, folder)
        os.close(descriptor)
        if not own[folder]:
            mounts.close(folder)
    writable = [*(temporary - around), work / "tmp"]
    own_places = _show_temporary(container / "tmp", writable, work / "home", memory_mib)
    for folder in set(covers) - own_places - around:
        mounts.close(folder)
    for place in around:
        _show_around(container / "tmp", place)
    os.umask(before)
    os.chdir(container)  # else the way up would lead to what is covered


def _show_temporary(own: Path, places: Iterable[Path], home_place: Path, memory_mib: int) -> set[Path]:
    """Have the places where everybody may write be a container's own folder; return all of them."""
    home, memory = own / ".home", own / ".shm"
    for folder in (home, memory):
        folder.mkdir(exist_ok=True)
    memory.chmod(0o1777)
    shown = {home_place: home, **dict.fromkeys(places, own)}
    if memory_mib:
        mounts.cover(_SHARED_MEMORY, f"mode=1777,size={memory_mib}m")
    else:
        shown[Path(_SHARED_MEMORY)] = memory
    for place, folder in shown.items():
        opened = mounts.tree(folder)
        mounts.attach(opened, place)
        os.close(opened)
    return set(shown)


def _show_around(own: Path, place: Path) -> None:
    """Have a place around the machine's folder be a container's own folder, with what it held seen in it."""
    held = {entry.name: mounts.tree(entry) for entry in place.iterdir()}
    opened = mounts.tree(own)
    mounts.attach(opened, place)
    os.close(opened)
    for name, descriptor in held.items():
        mounts.attach(descriptor, place / name)
        os.close(descriptor)
        mounts.close(place / name)


def _top() -> Iterable[Path]:
    return (folder for folder in Path("/").iterdir() if folder.name not in _OPEN)


def _covered(folders: Iterable[Path]) -> list[Path]:
    """Return the folders that are to be covered, without those below others."""
    wanted = {folder for folder in folders if folder.is_dir() and not folder.is_symlink()}
    return [folder for folder in wanted if not wanted & set(folder.parents)]


def _opened(folders: Iterable[Path]) -> dict[Path, int]:
    flags = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
    # From the top down: what a folder holds comes with it.
    return {folder: os.open(folder, flags) for folder in sorted(folders) if folder.is_dir()}
