"""Mounting, without a program for it. Standard library only."""

from __future__ import annotations

import ctypes
import errno
import os
import time
from collections.abc import Callable
from pathlib import Path

NOSUID, NODEV = 2, 4
_RDONLY, _REMOUNT, _BIND, _REC, _PRIVATE = 1, 32, 4096, 1 << 14, 1 << 18
_KEPT = NOSUID | NODEV | 8  # what a mount that is not one's own must keep, NOEXEC among it

# Numbers that are the same on all architectures, as all calls since Linux 5.1 have them.
_OPEN_TREE, _MOVE_MOUNT, _MOUNT_SETATTR = 428, 429, 442
_CLONE, _RECURSIVE, _EMPTY_PATH, _HERE = 1, 0x8000, 0x1000, -100
_FROM_EMPTY_PATH = 4
_ATTR_RDONLY, _ATTR_NOSUID, _ATTR_IDMAP = 1, 2, 1 << 20

_PATIENCE_S, _PAUSE_S = 10.0, 0.001

_libc = ctypes.CDLL(None, use_errno=True)


class _Attributes(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in ("set", "clear", "propagation", "user_namespace")]


def cover(folder: str | Path, options: str) -> None:
    """Put an empty file system in memory over a folder. Raises OSError."""
    _mount("tmpfs", str(folder), "tmpfs", NOSUID | NODEV, options)


def show(opened: int, place: str | Path) -> None:
    """Have an opened folder seen at a place, which is made. Raises OSError."""
    os.makedirs(place, mode=0o755, exist_ok=True)
    _mount(f"/proc/self/fd/{opened}", str(place), None, _BIND | _REC, None)


def close(place: str | Path) -> None:
    """Let nothing be written any more in what is mounted at a place itself. Raises OSError."""
    kept = os.statvfs(place).f_flag & _KEPT  # the numbers of these flags are those of `mount`
    _when_free(lambda: _mount("none", str(place), None, _REMOUNT | _BIND | _RDONLY | kept, None))


def close_all() -> None:
    """Let nothing be written in any file system that is mounted now; devices stay. Raises OSError.

    Before Linux 5.12 nothing is closed.
    """
    try:
        attributes = _Attributes(set=_ATTR_RDONLY | _ATTR_NOSUID)
        _when_free(lambda: _set_attributes(_HERE, "/", _RECURSIVE, attributes))
    except OSError as error:
        if error.errno != errno.ENOSYS:
            raise


def _when_free(closing: Callable[[], None]) -> None:
    """Close a mount as soon as nobody writes there. Raises OSError, EBUSY if somebody goes on doing so.

    A process of the same namespace that just reads a file writes for a moment: when it was read.
    """
    until = time.monotonic() + _PATIENCE_S
    while True:
        try:
            closing()
            return
        except OSError as error:
            if error.errno != errno.EBUSY or time.monotonic() > until:
                raise
        time.sleep(_PAUSE_S)


def part_from_host() -> None:
    """Let what is mounted from now on be seen in this mount namespace alone. Raises OSError."""
    _mount("none", "/", None, _REC | _PRIVATE, None)


def processes() -> None:
    """Put a view of this process namespace at /proc. Raises OSError."""
    _mount("proc", "/proc", "proc", NOSUID | NODEV | 8, None)


def tree(folder: str | Path) -> int:
    """Return a descriptor of a folder and what is mounted below it, to be attached elsewhere. Raises OSError.

    No link on the way to it is followed.
    """
    opened = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        flags = _CLONE | _RECURSIVE | _EMPTY_PATH | os.O_CLOEXEC
        return _call(_OPEN_TREE, opened, b"", flags)
    finally:
        os.close(opened)


def attach(descriptor: int, place: str | Path) -> None:
    """Have a tree seen at a place, which is made. Raises OSError."""
    os.makedirs(place, mode=0o755, exist_ok=True)
    _call(_MOVE_MOUNT, descriptor, b"", _HERE, os.fsencode(place), _FROM_EMPTY_PATH)


def map_owners(descriptor: int, user_namespace: int) -> None:
    """Show the owners of a tree's files as a user namespace maps them. Raises OSError."""
    attributes = _Attributes(set=_ATTR_IDMAP, user_namespace=user_namespace)
    _set_attributes(descriptor, "", _EMPTY_PATH | _RECURSIVE, attributes)


def _set_attributes(folder: int, path: str, flags: int, attributes: _Attributes) -> None:
    size = ctypes.c_size_t(ctypes.sizeof(attributes))
    _call(_MOUNT_SETATTR, folder, path.encode(), flags, ctypes.byref(attributes), size)


def _call(number: int, *arguments: object) -> int:
    result: int = _libc.syscall(ctypes.c_long(number), *arguments)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"call {number}: {os.strerror(code)}")
    return result


def _mount(source: str, target: str, kind: str | None, flags: int, data: str | None) -> None:
    words = [None if word is None else word.encode() for word in (source, target, kind)]
    if _libc.mount(*words, ctypes.c_ulong(flags), data.encode() if data else None):
        number = ctypes.get_errno()
        raise OSError(number, f"mounting {source}: {os.strerror(number)}", target)
