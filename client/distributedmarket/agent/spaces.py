"""Namespaces of a container's own, and what a process in them is left with. Standard library only."""

from __future__ import annotations

import ctypes
import os
import resource
import struct
from contextlib import suppress
from pathlib import Path

_NEWNS, _NEWIPC, _NEWUSER, _NEWPID = 0x20000, 0x8000000, 0x10000000, 0x20000000
_PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT, _CLEAR_ALL = 24, 38, 47, 4
_CAPABILITY_VERSION = 0x20080522
_LANDLOCK_CREATE_RULESET, _LANDLOCK_RESTRICT_SELF = 444, 446
_SCOPE_ABSTRACT_SOCKETS = 1
_libc = ctypes.CDLL(None, use_errno=True)


def leave() -> None:
    """Go into a user, mount and IPC namespace of one's own; children will be in a process namespace, too.

    Raises OSError where that is forbidden.
    """
    _checked(_libc.unshare(_NEWUSER | _NEWNS | _NEWIPC | _NEWPID), "unshare")


def keep_account(uid: int, gid: int) -> None:
    """Have an account keep its number in the user namespace of this process. Raises OSError."""
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")
    Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")


def become(uid: int, gid: int) -> None:
    """Take the account that this user namespace has; capabilities in it stay. Raises OSError."""
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)


def limit(files: int, processes: int) -> None:
    """Set how many files a process may have open, and how many processes and threads its account (0: any)."""
    for name, most in ((resource.RLIMIT_NOFILE, files), (resource.RLIMIT_NPROC, processes)):
        hard = resource.getrlimit(name)[1]
        allowed = most if hard == resource.RLIM_INFINITY else min(most, hard)
        if most:
            resource.setrlimit(name, (allowed, allowed))


def give_up() -> None:
    """Give up every capability, and every way to get one. Raises OSError.

    Further user namespaces would give capabilities over namespaces of their own, and with them a reach into
    much more of the kernel. Sockets with an abstract name know no mount namespace: those of the host are
    closed where the kernel can (Linux 6.12).
    """
    Path("/proc/sys/user/max_user_namespaces").write_text("0")
    _checked(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")
    _close_abstract_sockets()
    _libc.prctl(_PR_CAP_AMBIENT, _CLEAR_ALL, 0, 0, 0)
    last = int(Path("/proc/sys/kernel/cap_last_cap").read_text())
    for capability in range(last + 1):
        _checked(_libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0), "dropping a capability")
    header, nothing = struct.pack("=Ii", _CAPABILITY_VERSION, 0), bytes(24)
    _checked(_libc.capset(header, nothing), "capset")


def _close_abstract_sockets() -> None:
    ruleset = struct.pack("=QQQ", 0, 0, _SCOPE_ABSTRACT_SOCKETS)
    size = ctypes.c_size_t(len(ruleset))
    opened = _libc.syscall(ctypes.c_long(_LANDLOCK_CREATE_RULESET), ruleset, size, 0)
    if opened >= 0:
        _checked(_libc.syscall(ctypes.c_long(_LANDLOCK_RESTRICT_SELF), opened, 0), "landlock")
        with suppress(OSError):
            os.close(opened)


def _checked(result: int, what: str) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
