"""Releases side by side: services run from a copy of the code, and `git pull` changes nothing that runs.

    STATE/releases/ID/            code and settings as they were; in `.market/` what was installed for them
    STATE/releases/current        a link to the one that services are started from
    STATE/releases/previous       a link to the one before it
    STATE/run/SERVICE.release     which one the process of a service was started from

ID is the digest of what a release is made of. A process imports and forks for as long as it runs, so it must
find the code that it began with. Environments, which are large, are linked (distributedmarket.runtime.aside);
jars are linked as files: whoever installs the next ones puts new files in their place, never into them.
Standard library only.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

from distributedmarket.errors import SetupError
from distributedmarket.runtime import aside
from market.kit import settings
from market.kit.settings import Paths, Settings

CURRENT, PREVIOUS = "current", "previous"
# What services read of a clone: code, and what makes the environments that it runs in.
_CODE = ("client", "config", "dags", "examples", "java", "plugins", "sql", "requirements.txt")
_ENVIRONMENTS = ("airflow-env", "agent-env", "runtime", "tools")
_FILES = ("hadoop", "client-package", "hadoop.zip", "submitter.jar", "history.jar")
_FACTS = "release.json"
_DIGITS = 12


@dataclass(frozen=True)
class Release:
    """One release in a state folder."""

    folder: Path

    @property
    def name(self) -> str:
        """The first digits of its digest."""
        return self.folder.name

    @property
    def python(self) -> Path:
        """The Python of its services."""
        return self.folder / ".market" / "airflow-env" / "bin" / "python"

    def settings(self, state: Path) -> Settings:
        """Return the settings of a stack that runs from it."""
        return settings.load(state, self.folder)


def place(state: Path) -> Path:
    """Return the folder of the releases of a stack."""
    return state / "releases"


def is_release(root: Path) -> bool:
    """Tell whether code runs from a release, not from a clone."""
    return (root / _FACTS).exists()


def name_of(root: Path) -> str:
    """Return the name that the code in a folder has, or would have, as a release."""
    if is_release(root):
        return root.name
    digest = hashlib.sha256()
    for part in _CODE:
        for path in _files(root / part):
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            digest.update(f"{path.relative_to(root)}\0{content}\n".encode())
    return digest.hexdigest()[:_DIGITS]


def _files(top: Path) -> Iterator[Path]:
    """Yield the files below a folder, or the file itself, in an order; none that Python or an editor made."""
    if top.is_file():
        yield top
        return
    for folder, folders, names in os.walk(top):
        folders[:] = sorted(one for one in folders if one != "__pycache__" and not one.startswith("."))
        for name in sorted(names):
            if not name.endswith((".pyc", "~")) and not name.startswith(".#"):
                yield Path(folder) / name


def make(paths: Paths) -> Release:
    """Return the release of this clone, made if it is not there yet. What is installed must be all there."""
    if is_release(paths.root):
        return Release(paths.root)
    folder = place(paths.state)
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    made = folder / name_of(paths.root)
    if made.exists():
        return Release(made)
    fresh = folder / f".{os.getpid()}.new"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(mode=0o755)
    for part in _CODE:
        for source in _files(paths.root / part):
            target = fresh / source.relative_to(paths.root)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
    _take_installed(paths, fresh / ".market")
    made = folder / name_of(fresh)  # of what was copied: the clone may have changed meanwhile
    (fresh / _FACTS).write_text(json.dumps({"clone": str(paths.root)}) + "\n")
    if made.exists():
        shutil.rmtree(fresh)
    else:
        fresh.rename(made)
    return Release(made)


def _take_installed(paths: Paths, installs: Path) -> None:
    installs.mkdir()
    (installs / "origin").symlink_to(paths.installs)
    for name in _ENVIRONMENTS:
        (installs / name).symlink_to(aside.real(paths.installs / name))
    for name in _FILES:
        source = paths.installs / name
        if source.is_dir():
            shutil.copytree(aside.real(source), installs / name, copy_function=_link)
        elif source.exists():
            _link(source, installs / name)
    # What jobs share is made in the runtime's folder, where the next release may put another one.
    (installs / "shared").mkdir()
    for source in (paths.runtime / "pyspark.zip", paths.runtime / "market_program.jar"):
        if source.exists():
            _link(source, installs / "shared" / source.name)


def _link(source: str | Path, target: str | Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # the state lies on another disk
        shutil.copy2(source, target)


def find(state: Path, name: str) -> Release:
    """Return a release by its name, or the first digits of it. Raises SetupError, naming those there are."""
    known = every(state)
    chosen = [one for one in known if name and one.name.startswith(name)]
    if name in (CURRENT, PREVIOUS) and (linked := named(state, name)):
        chosen = [linked]
    if len(chosen) != 1:
        names = ", ".join(one.name for one in known) or "none"
        raise SetupError(f"no release is called {name}; there are: {names}")
    return chosen[0]


def every(state: Path) -> list[Release]:
    """Return all releases of a stack, the last made first."""
    found = [path.parent for path in place(state).glob(f"*/{_FACTS}") if not path.parent.is_symlink()]
    found = [folder for folder in found if not folder.name.startswith(".")]
    return [Release(one) for one in sorted(found, key=lambda one: one.stat().st_mtime, reverse=True)]


def named(state: Path, link: str) -> Release | None:
    """Return the release that a link names; None where there is none."""
    path = place(state) / link
    return Release(path.resolve()) if (path / _FACTS).exists() else None


def current(state: Path) -> Release | None:
    """Return the release that services are started from; None before the first start from one."""
    return named(state, CURRENT)


def use(state: Path, release: Release) -> None:
    """Have services be started from a release from now on; the one until now is the previous one then."""
    before = current(state)
    if before is not None and before != release:
        _point(state, PREVIOUS, before)
    _point(state, CURRENT, release)


def _point(state: Path, link: str, release: Release) -> None:
    fresh = place(state) / f".{link}.new"
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(release.name)
    fresh.replace(place(state) / link)


@dataclass(frozen=True)
class Note:
    """What the process of a service was started from, and whatever the process manager would start again.

    `release` is "" where that is a clone. `like` is the release that would start it from the same, which may
    be a later one that left it running.
    """

    release: str
    fingerprint: str
    like: str


def note(paths: Paths, service: str, fingerprint: str) -> None:
    """Note that the process of a service is about to run from this code."""
    name = name_of(paths.root) if is_release(paths.root) else ""
    _write(paths, service, Note(name, fingerprint, name))


def agree(paths: Paths, service: str) -> None:
    """Note that a service which runs on is what this release would start as well."""
    if found := of_services(paths.state).get(service):
        _write(paths, service, Note(found.release, found.fingerprint, name_of(paths.root)))


def _write(paths: Paths, service: str, told: Note) -> None:
    fresh = paths.run / f".{service}.release"
    fresh.write_text(f"{told.release}\n{told.fingerprint}\n{told.like}\n")
    fresh.replace(paths.run / f"{service}.release")


def of_services(state: Path) -> dict[str, Note]:
    """Return what was noted of each service."""
    found = {}
    for path in sorted((state / "run").glob("[!.]*.release")):
        lines = path.read_text().splitlines()
        if len(lines) == len(fields(Note)):  # a power cut may leave an empty file
            found[path.stem] = Note(*lines)
    return found


def forget(state: Path) -> None:
    """Forget what services were started from: none runs any more."""
    for path in (state / "run").glob("*.release"):
        path.unlink()


def discard(state: Path) -> list[str]:
    """Delete the releases that are neither current nor previous, nor run from; return their names."""
    kept = {one.name for link in (CURRENT, PREVIOUS) if (one := named(state, link))}
    kept |= {one.release for one in of_services(state).values()}
    gone = [one for one in every(state) if one.name not in kept]
    gone = [one for one in gone if not aside.users(one.folder)]
    for one in gone:
        shutil.rmtree(one.folder)
    return [one.name for one in gone]
