"""What a backup holds beside the database: HDFS, as its servers keep it, and the secrets, encrypted."""

from __future__ import annotations

import io
import os
import shutil
import tarfile
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken

from distributedmarket.errors import SetupError
from market.kit.settings import Settings
from market.ops.run import secrets

SECRETS = "secrets.enc"
NAMES, BLOCKS = "namenode", "datanode"  # as below the state folder's data/
_SECRET_FOLDERS = ("secrets", "kdc", "tls")  # of the state folder; some have not all
_ATTEMPTS = 5
# Of a DataNode's folder: what is being written, and what says that it runs.
_PASSING = shutil.ignore_patterns("in_use.lock", "rbw", "tmp", "scanner.cursor")


def copy_names(data: Path, target: Path) -> None:
    """Copy the names of HDFS: the NameNode's image and the edits since, which it only appends to.

    Raises SetupError when it changes its files all the time.
    """
    for _ in range(_ATTEMPTS):
        before = _listed(data / NAMES)
        shutil.copytree(data / NAMES, target / NAMES, ignore=_PASSING, dirs_exist_ok=True)
        if _listed(data / NAMES) == before:
            return
        shutil.rmtree(target / NAMES)
    raise SetupError(f"the NameNode's files in {data / NAMES} change all the time")


def copy_blocks(data: Path, target: Path, earlier: Path | None) -> int:
    """Copy the blocks of HDFS's files; what an earlier backup has is linked. Return the bytes copied.

    A finished block is never changed in place. After the names, so that every file that they name has its
    blocks, unless it was deleted meanwhile.
    """
    copied = 0

    def copy_one(source: str, to: str) -> None:
        nonlocal copied
        try:
            status = os.stat(source)
            known = earlier / os.path.relpath(to, target) if earlier else None
            if known and known.exists() and _same(known.stat(), status):
                os.link(known, to)
                return
            shutil.copy2(source, to)
            copied += status.st_size
        except FileNotFoundError:
            return  # deleted meanwhile

    shutil.copytree(data / BLOCKS, target / BLOCKS, ignore=_PASSING, copy_function=copy_one)
    return copied


def _same(one: os.stat_result, other: os.stat_result) -> bool:
    return (one.st_size, one.st_mtime_ns) == (other.st_size, other.st_mtime_ns)


def _listed(folder: Path) -> list[str]:
    return sorted(str(path) for path in folder.rglob("*"))


def put_back(source: Path, data: Path, name: str) -> None:
    """Copy a folder of HDFS's servers to where they look for it."""
    shutil.copytree(source / name, data / name)
    (data / name).chmod(0o700)


def make_key(settings: Settings) -> bool:
    """Make the operator's key unless there is one; tell whether it is new."""
    if settings.backup_key.exists():
        return False
    settings.backup_key.parent.mkdir(parents=True, exist_ok=True)
    secrets.write(settings.backup_key, Fernet.generate_key().decode())
    return True


def encrypt_secrets(settings: Settings, target: Path) -> None:
    """Write the secrets of a market, and its realm's keys, into one encrypted file."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name in _SECRET_FOLDERS:
            if (settings.paths.state / name).is_dir():
                archive.add(settings.paths.state / name, name)
    key = Fernet(settings.backup_key.read_text().strip())
    secrets.write(target / SECRETS, key.encrypt(packed.getvalue()).decode())


def decrypt_secrets(backup: Path, key_file: Path, state: Path) -> None:
    """Unpack the secrets of a backup below a state folder. Raises SetupError where the key is another one."""
    try:
        key = Fernet(key_file.read_text().strip())
        packed = key.decrypt((backup / SECRETS).read_bytes().strip())
    except FileNotFoundError:
        raise SetupError(f"{key_file} or {backup / SECRETS} is missing") from None
    except (InvalidToken, ValueError):
        raise SetupError(f"{key_file} is not the key of {backup / SECRETS}") from None
    with tarfile.open(fileobj=io.BytesIO(packed), mode="r:gz") as archive:
        archive.extractall(state)  # noqa: S202 - whoever has the key has made it
