"""Building an environment of packages: by uv, in a sandbox, from wheels alone, within time and size.

A wheel is unpacked, and nothing in it runs: packages that would run code of their own to be built are
refused. The sandbox is there for what uv itself might be made to do: it sees no state of the market, writes
in one folder, and reaches nothing but the index (index_proxy.py). Without it nothing is built.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from resource import RLIMIT_AS, RLIMIT_CORE, RLIMIT_NOFILE, prlimit

from market.jobs import requirements
from market.jobs.submission import environments
from market.jobs.submission.index_proxy import DOOR, IndexProxy
from market.kit import settings
from market.kit.errors import ConflictError, MarketError

_MIB = 1 << 20
_LOOK_S = 0.5
_MOST_FILES = 100_000
_MEMORY_BYTES = 8 << 30
_CHUNK = 1 << 20
_TRY_S = 10
_WORDS = 400  # of uv's, in the reason of a job's end
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_WHEELS = ("--only-binary", ":all:")

Report = Callable[[str], None]


class NoSandboxError(MarketError):
    """No packages can be fetched without risk on this host; its operator can mend that."""

    status = 503
    title = "Service unavailable"


Wanted = Callable[[], bool]


def build(lines: Sequence[str], report: Report, wanted: Wanted) -> None:
    """Build what `lines` ask for and keep it; `report` is told what happens, line by line.

    Raises ConflictError with words for whoever asked: packages that are not there, too much, too slow, or not
    `wanted` any more; NoSandboxError where this host has no sandbox.
    """
    if words := problem():
        raise NoSandboxError(words)
    folder = settings.load().paths.run / "environments"
    folder.mkdir(mode=0o700, exist_ok=True)
    _sweep(folder)
    work = Path(tempfile.mkdtemp(prefix="build-", dir=folder))
    try:
        _build(_Uv(work, report, wanted), lines)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def problem() -> str:
    """Return why no packages can be fetched on this host, in words; nothing where they can."""
    try:
        folder = settings.load().paths.run
        tried = subprocess.run([*_sandbox(folder), "true"], capture_output=True, timeout=_TRY_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"bubblewrap does not work here: {error}"
    if not tried.returncode:
        return ""
    return f"bubblewrap does not work here: {_last_words(tried.stderr.decode(errors='replace'))}"


def _build(uv: _Uv, lines: Sequence[str]) -> None:
    own, work = environments.machine(), uv.work
    (work / "asked.txt").write_text("".join(f"{line}\n" for line in lines))
    # What is in the file already is preferred: so the runtime's own packages are taken where they do.
    (work / "lock.txt").write_text("".join(f"{name}=={version}\n" for name, version in own.items()))
    uv.run("compile", "asked.txt", "-o", "lock.txt", "--generate-hashes", "--no-header", "--no-annotate")
    found, problems = requirements.of_text((work / "lock.txt").read_text())
    if problems:
        raise ConflictError(f"The packages were resolved to something that cannot be used: {problems[0]}")
    locked = [line for line in found if not _is_own(line, own)]
    uv.report(f"{len(found)} packages, {len(found) - len(locked)} of them are the market's own")
    if environments.is_kept(locked):
        environments.store(lines, locked, None)
        return
    (work / "lock.txt").write_text("".join(f"{line}\n" for line in locked))
    words = ("--no-deps", "--require-hashes", "--compile-bytecode", "--link-mode", "copy")
    uv.run("install", "-r", "lock.txt", "--target", "packages", *words)
    uv.check_size()
    environments.store(lines, locked, _packed(work / "packages"))
    uv.report("built")


def _is_own(line: str, own: dict[str, str]) -> bool:
    name, _, version = line.partition(" ")[0].partition("==")
    return own.get(name) == version


class _Uv:
    """uv in one working folder, with a deadline for all its runs together."""

    def __init__(self, work: Path, report: Report, wanted: Wanted) -> None:
        self.work, self.report, self._wanted = work, report, wanted
        self._until = time.monotonic() + settings.load().jobs.environment_timeout_s

    def run(self, command: str, *arguments: str) -> None:
        """Run `uv pip <command>`. Raises ConflictError with its words where it fails."""
        loaded = settings.load()
        python = str(loaded.paths.runtime / "bin" / "python")
        index, files = loaded.jobs.package_index, loaded.jobs.package_files
        words = [str(loaded.paths.tools / "bin" / "uv"), "pip", command, *arguments, *_WHEELS]
        words += ["--default-index", index]
        self.report(f"uv pip {command} {' '.join([*arguments, *_WHEELS])}")
        log = self.work / "uv.log"
        with log.open("wb") as out, IndexProxy(index, files).channel() as channel:
            door = [python, "-I", "-c", DOOR, str(channel.fileno())]
            process = subprocess.Popen(
                [*_sandbox(self.work), *door, *words, "--python", python],
                cwd=self.work,
                env=_variables(self.work),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                pass_fds=[channel.fileno()],
                start_new_session=True,
            )
            prlimit(process.pid, RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
            prlimit(process.pid, RLIMIT_CORE, (0, 0))
            prlimit(process.pid, RLIMIT_NOFILE, (1024, 1024))
            try:
                self._watch(process)
            finally:
                _end(process)
        text = _COLOUR.sub("", log.read_bytes()[-(64 << 10) :].decode(errors="replace"))
        for line in text.splitlines():
            self.report("".join(letter if letter.isprintable() else " " for letter in line))
        if process.returncode:
            raise ConflictError(f"The packages cannot be had: {_last_words(text)}")

    def check_size(self) -> None:
        """Raise ConflictError where there is more in the folder than may be."""
        most = settings.load().jobs.environment_mib * _MIB
        size = number = 0
        for folder, _, files in os.walk(self.work / "packages"):
            for name in files:
                number += 1
                size += os.lstat(os.path.join(folder, name)).st_size
        if size > most or number > _MOST_FILES:
            raise ConflictError(
                f"These packages have {size // _MIB} MiB in {number} files; an environment may have"
                f" {most // _MIB} MiB in {_MOST_FILES}. Ask for fewer, or bring a python_env."
            )

    def _watch(self, process: subprocess.Popen[bytes]) -> None:
        # Downloads, the cache and what is unpacked from it are there at a time.
        most = 3 * settings.load().jobs.environment_mib * _MIB
        while True:
            try:
                process.wait(_LOOK_S)
                return
            except subprocess.TimeoutExpired:
                pass
            if time.monotonic() > self._until:
                raise ConflictError(
                    f"The packages were not there within {settings.load().jobs.environment_timeout_s} s."
                    " Ask for fewer, or bring a python_env."
                )
            if _size(self.work) > most:
                raise ConflictError(
                    f"These packages need more than {most // _MIB} MiB while they are unpacked."
                    " Ask for fewer, or bring a python_env."
                )
            if not self._wanted():
                raise ConflictError("The job was stopped while its packages were fetched.")


def _sandbox(work: Path) -> list[str]:
    """Return what comes before the command; its network has a loopback of its own, and nothing else."""
    paths = settings.load().paths
    words = ["bwrap", "--unshare-all", "--die-with-parent", "--new-session"]
    words += ["--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"]
    hidden = ["/tmp", "/var/tmp", "/home", "/root", "/run"]  # noqa: S108
    hidden += map(str, (paths.installs, paths.state, paths.origin))
    for folder in dict.fromkeys(hidden):
        if os.path.isdir(folder):
            words += ["--tmpfs", folder]
    for path in (paths.tools, paths.runtime):
        words += ["--ro-bind", str(path), str(path)]
    return [*words, "--bind", str(work), str(work), "--chdir", str(work), "--"]


def _variables(work: Path) -> dict[str, str]:
    """Return the whole environment of uv: nothing of this process's own, which knows the market's secrets."""
    kept = ("SSL_CERT_FILE", "SSL_CERT_DIR")
    return {
        **{name: os.environ[name] for name in kept if name in os.environ},
        "PATH": "/usr/bin:/bin",
        "HOME": str(work),
        "LANG": "C.UTF-8",
        "UV_CACHE_DIR": str(work / "cache"),  # its own: nothing of it reaches another's build
        "UV_NO_CONFIG": "1",
        "UV_NO_PROGRESS": "1",
        "UV_SYSTEM_CERTS": "1",
        "UV_PYTHON_DOWNLOADS": "never",
    }


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _size(folder: Path) -> int:
    """Return how many bytes of the disk a folder takes."""
    total = 0
    for inside, _, files in os.walk(folder):
        for name in files:
            try:
                total += os.lstat(os.path.join(inside, name)).st_blocks * 512
            except FileNotFoundError:
                continue
    return total


def _last_words(text: str) -> str:
    """Return what uv says of its error, from its first line on, on one line."""
    start = text.find("error:")
    said = " ".join(text[max(0, start) :].split())
    return said[:_WORDS] + ("…" if len(said) > _WORDS else "")


def _packed(folder: Path) -> Iterator[bytes]:
    """Yield a folder as an archive: of folders and ordinary files alone."""
    for path in [folder, *sorted(folder.rglob("*"))]:
        if path.is_symlink() or not (path.is_dir() or path.is_file()):
            continue
        head = tarfile.TarInfo(str(path.relative_to(folder)))
        is_folder, status = path.is_dir(), path.stat()
        head.type, head.mode = (tarfile.DIRTYPE, 0o755) if is_folder else (tarfile.REGTYPE, 0o644)
        head.size, head.mtime = 0 if is_folder else status.st_size, int(status.st_mtime)
        yield head.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")
        if is_folder:
            continue
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                yield chunk
        yield bytes(-head.size % tarfile.BLOCKSIZE)
    yield bytes(2 * tarfile.BLOCKSIZE)


def _sweep(folder: Path) -> None:
    """Remove what builds left whose process died."""
    oldest = time.time() - 2 * settings.load().jobs.environment_timeout_s - 3600
    for left in folder.glob("build-*"):
        if left.stat().st_mtime < oldest:
            shutil.rmtree(left, ignore_errors=True)
