"""Who a machine is to Hadoop's servers, and where its NodeManager finds that.

The key belongs to the account that the NodeManager runs under, which is that of the jobs as well, unless each
has one of its own: view.py hides all of the machine's folder from containers but what is shown on purpose.
"""

from __future__ import annotations

import base64
import binascii
import io
import os
import shutil
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from distributedmarket.client import MarketClientError

KEYS = "keys"  # beside `conf` and `work` in a machine's folder
_KEYTAB = "machine.keytab"
_REALM, _TICKET_KEY, _CLASSES = "krb5.conf", "ticket_key.pub", "classes"
_EXECUTOR = "distributedmarket.hadoop.AllocatedExecutor"  # one of the classes that come with it
_MAX_CLASSES_BYTES = 1 << 20


@dataclass(frozen=True)
class Identity:
    """A machine's name in the market's realm, its key, and what its NodeManager needs beside them."""

    principal: str
    krb5_conf: str
    keytab: bytes = field(repr=False)
    ticket_key: str
    classes: bytes = field(repr=False)


@dataclass(frozen=True)
class Installed:
    """An identity's files on this machine."""

    principal: str
    keytab: Path
    realm: Path
    ticket_key: Path
    classes: Path

    @property
    def java_options(self) -> list[str]:
        """What each Java of the machine is told, also those of jobs, which need the name of the realm."""
        return [f"-Djava.security.krb5.conf={self.realm}"]

    def properties(self) -> dict[str, dict[str, str]]:
        """Return what the NodeManager's configuration says of them, by file."""
        http = "hadoop.http.authentication"
        return {
            "core-site.xml": {
                f"{http}.market.key": str(self.ticket_key),
                # Else it lies in the account's home, where a job may put a secret that it knows.
                f"{http}.signature.secret.file": str(self.keytab.with_name("none")),
            },
            "yarn-site.xml": {
                "yarn.nodemanager.principal": self.principal,
                "yarn.nodemanager.keytab": str(self.keytab),
                "yarn.nodemanager.container-executor.class": _EXECUTOR,
            },
        }


def parsed(answer: Mapping[str, Any]) -> Identity:
    """Return the identity in a market's answer. Raises MarketClientError."""
    try:
        return Identity(
            principal=str(answer["principal"]),
            krb5_conf=str(answer["krb5_conf"]),
            keytab=base64.b64decode(answer["keytab"], validate=True),
            ticket_key=str(answer["ticket_key"]),
            classes=base64.b64decode(answer["classes"], validate=True),
        )
    except (KeyError, TypeError, binascii.Error):
        raise MarketClientError("the market gives keys otherwise: update this agent") from None


def install(identity: Identity, machine: Path, uid: int, gid: int) -> Installed:
    """Write an identity into a machine's folder; the key is the account's alone. Raises MarketClientError."""
    conf = machine / "conf"
    place = Installed(
        principal=identity.principal,
        keytab=folder(machine) / _KEYTAB,
        realm=shown(machine) / _REALM,
        ticket_key=conf / _TICKET_KEY,
        classes=conf / _CLASSES,
    )
    place.realm.parent.mkdir(exist_ok=True)
    place.realm.parent.chmod(0o755)
    _write(place.realm, identity.krb5_conf.encode(), 0o644)
    _write(place.ticket_key, identity.ticket_key.encode(), 0o644)
    _unpack(identity.classes, place.classes)
    _write(place.keytab, identity.keytab, 0o600, uid, gid)
    return place


def renew(identity: Identity, place: Installed) -> None:
    """Put another key in the place of the one before. The NodeManager reads it when its login ends."""
    known = place.keytab.stat()
    _write(place.keytab, identity.keytab, 0o600, known.st_uid, known.st_gid)


def folder(machine: Path) -> Path:
    """Return the folder for a machine's key, which is made; only its owner may put something there."""
    made = machine / KEYS
    made.mkdir(exist_ok=True)
    made.chmod(0o711)
    return made


def shown(machine: Path) -> Path:
    """Return the folder of what containers see of a machine's configuration."""
    return machine / "conf" / "shown"


def forget(machine: Path) -> None:
    """Remove the key: the machine has left, or is about to be given another one."""
    (machine / KEYS / _KEYTAB).unlink(missing_ok=True)


def _write(file: Path, content: bytes, mode: int, uid: int = -1, gid: int = -1) -> None:
    fresh = file.with_name(f".{file.name}.new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        out.write(content)
        os.fchown(descriptor, uid, gid)
        os.fchmod(descriptor, mode)
    fresh.rename(file)


def _unpack(packed: bytes, target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    try:
        with zipfile.ZipFile(io.BytesIO(packed)) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > _MAX_CLASSES_BYTES:
                raise MarketClientError("the market sends more classes than an agent takes")
            archive.extractall(target)
    except zipfile.BadZipFile:
        raise MarketClientError("what the market sent as its classes is no zip file") from None
    for path in (target, *target.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
