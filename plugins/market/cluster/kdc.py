"""The market's own key distribution centre: principals are made, given their keys, and removed.

MIT's `kadmin.local` works on the files that the running server reads: what it changes counts at once.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from market.cluster.errors import ClusterRefused, ClusterUnavailable
from market.kit.environment import inherited

_SYSTEM = "/usr/sbin:/sbin"  # Debian has the programs there, where the path of a user does not lead
_DEADLINE_S = 30  # one takes hundredths of a second, unless another holds the database
_PRINCIPAL = re.compile(r"[a-z][a-z0-9_-]{0,31}/[0-9A-Za-z.:_-]{1,255}@[A-Z0-9][A-Z0-9.-]{0,62}")


def program(name: str) -> str | None:
    """Return the path of one of MIT's programs; None where it is not installed."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:{_SYSTEM}")


class Keys(Protocol):
    """Whoever gives machines their keys."""

    def make(self, principal: str) -> bytes:
        """Return a principal's keytab. Raises ClusterRefused, ClusterUnavailable."""

    def revoke(self, principal: str) -> bool:
        """Take a principal's key back; tell whether that was done. Raises as `make` does."""


@dataclass(frozen=True)
class GivenKeys:
    """Keys of a realm that somebody else serves: a file `ADDRESS.keytab` for each machine in a folder."""

    folder: Path

    def make(self, principal: str) -> bytes:
        """Return the keytab that lies there for a machine. Raises ClusterRefused."""
        address = _checked(principal).partition("/")[2].partition("@")[0]
        try:
            return (self.folder / f"{address}.keytab").read_bytes()
        except OSError as error:
            # Whoever lends is told; where the files lie is for the operator's log.
            raise ClusterRefused(
                f"the realm's administrator has given no key for {principal} ({error.strerror})"
            ) from error

    def revoke(self, principal: str) -> bool:
        """Leave it to the realm's administrator."""
        return False


@dataclass(frozen=True)
class Kdc:
    """The realm's database, by the files that name it: krb5.conf and kdc.conf."""

    krb5_conf: Path
    kdc_conf: Path

    def environment(self) -> dict[str, str]:
        """Return the variables by which MIT's programs find this realm, and no other one of the system."""
        return inherited() | {"KRB5_CONFIG": str(self.krb5_conf), "KRB5_KDC_PROFILE": str(self.kdc_conf)}

    def create(self, master_key: str) -> None:
        """Make the empty database, and keep its key in the file that kdc.conf names.

        Raises ClusterUnavailable without the program, ClusterRefused if it fails.
        """
        # The word goes through the standard input, so that it stands in no list of processes.
        done = self._run("kdb5_util", ["create", "-s"], f"{master_key}\n{master_key}\n")
        if done.returncode:
            raise ClusterRefused(f"the realm's database could not be made: {_last(done.stderr)}")

    def principals(self) -> set[str]:
        """Return the names of all principals. Raises ClusterRefused, ClusterUnavailable."""
        return set(self._admin("list_principals").split())

    def ensure(self, principal: str) -> None:
        """Make a principal with a random key, unless it is there.

        Raises ClusterRefused, ClusterUnavailable.
        """
        if _checked(principal) not in self.principals():
            self._admin("add_principal", "-randkey", principal)

    def make(self, principal: str) -> bytes:
        """Give a principal a fresh key, whether it is new or not; return its keytab.

        With keys that it had before nobody can log in any more. Raises ClusterRefused, ClusterUnavailable.
        """
        known = _checked(principal) in self.principals()
        self._admin("change_password" if known else "add_principal", "-randkey", principal)
        return self.keytab([principal])

    def keytab(self, principals: Iterable[str]) -> bytes:
        """Return the keys that principals have now, as a keytab.

        Raises ClusterRefused if one of them is missing, ClusterUnavailable.
        """
        names = [_checked(principal) for principal in principals]
        with tempfile.TemporaryDirectory(prefix="keytab-", dir=self.kdc_conf.parent) as folder:
            file = Path(folder) / "keytab"
            for name in names:
                # One at a time: of several, `ktadd` leaves out what is missing, and says nothing of it.
                part = Path(folder) / "part"
                self._admin("ktadd", "-norandkey", "-k", str(part), name)
                if not part.exists():
                    raise ClusterRefused(f"there is no principal {name}")
                content = part.read_bytes()
                part.unlink()
                # A keytab is a head of two bytes (its version) and its entries.
                with file.open("ab") as out:
                    out.write(content if not out.tell() else content[2:])
            return file.read_bytes()

    def revoke(self, principal: str) -> bool:
        """Remove a principal; tell whether it was there. Raises ClusterRefused, ClusterUnavailable.

        Who has logged in with its key keeps the tickets that he has, for as long as they live.
        """
        if _checked(principal) not in self.principals():
            return False
        self._admin("delete_principal", "-force", principal)
        return True

    def _admin(self, *words: str) -> str:
        done = self._run("kadmin.local", list(words))
        if done.returncode:
            raise ClusterRefused(f"the key distribution centre refused {words[0]}: {_last(done.stderr)}")
        return done.stdout

    def _run(self, name: str, words: list[str], given: str = "") -> subprocess.CompletedProcess[str]:
        found = program(name)
        if found is None:
            raise ClusterUnavailable(f"{name} is not installed: run ./market setup")
        try:
            return subprocess.run(
                [found, *words],
                input=given,
                env=self.environment(),
                capture_output=True,
                text=True,
                timeout=_DEADLINE_S,
                start_new_session=True,  # else it would ask at the terminal, not at its input
            )
        except subprocess.TimeoutExpired:
            raise ClusterUnavailable(f"{name} did not end within {_DEADLINE_S} s") from None


def _checked(principal: str) -> str:
    """Return a name that can be nothing but a name to `kadmin.local`."""
    if not _PRINCIPAL.fullmatch(principal):
        raise ValueError(f"{principal!r} is no principal of a server or a machine")
    return principal


def _last(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "no message"
