"""How each container of a machine is kept together, until its end, and apart from all others.

YARN ends a container's process group. What has left that group (a session of its own, a double fork) ends
with the container by the strongest of these that this host allows:

* a process namespace: the kernel ends all in it with its first process, and programs do not see each other;
* a control group, which the guard ends as a whole; as root only;
* the container's first process, which collects what the others leave, and the guard behind it.

With the process namespace come a mount namespace, in which a container sees its own files only (view.py), and
as root an account of its own (owners.py).

The NodeManager runs `nice` before each container, and each container's script runs `setsid`. Its path has a
folder first that holds programs of these names: the first one cleans the environment, which is the job's,
before it does what it is named for, and the second one is enclose.py.
"""

from __future__ import annotations

import os
import platform
import re
import secrets
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import distributedmarket
from distributedmarket import agent
from distributedmarket.agent import (
    enclose,
    groups,
    limits,
    mounts,
    network,
    owners,
    process_tags,
    spaces,
    tree,
    usage,
    view,
)
from distributedmarket.agent.sandbox import Sandbox

_TRIAL_S = 30
_PACKAGE = Path("distributedmarket") / "agent"
_NOTE = "enclosure.txt"
OPEN_FILES = 16_384  # of a process
# From here on the kernel counts the processes of an account for each user namespace by itself.
_COUNTED_APART = (5, 14)


@dataclass(frozen=True)
class Enclosure:
    """`spaces` are wishes of enclose.py for namespaces, `groups` is the control groups' folder.

    With `accounts` each container has one of its own; `limits` are folders for control groups that limit
    memory and processes, by controller. With a `wall`, the machine's address, the network is bounded. Without
    `led` containers start as YARN has it, with no first process of the market's.
    """

    spaces: tuple[str, ...]
    groups: Path | None
    led: bool = True
    accounts: owners.Range | None = None
    limits: dict[str, Path] = field(default_factory=dict)
    wall: str | None = None

    def without_memory(self) -> Enclosure:
        """Return the same where nobody says how much memory was allocated."""
        return replace(self, limits={name: one for name, one in self.limits.items() if name != "memory"})

    @property
    def description(self) -> str:
        """What a container is kept in, for people."""
        if not self.led:
            python = os.path.realpath(sys.executable)
            return f"containers in process groups alone, since the jobs' account cannot run {python}"
        means = ["namespaces"] if self.spaces else []
        means += ["a control group"] if self.groups else []
        kept = f"each container in {' and '.join(means) or 'a process tree'} that ends as a whole"
        kept += ", under an account of its own" if self.accounts else ""
        if not self.spaces:
            kept += ", whose programs see each other's processes and the machine's key"
        kept += f", held to {' and '.join(self.limits)} by the kernel" if self.limits else ""
        return f"{kept}, {'apart from' if self.wall else 'which reaches'} this host's own services"


def choose(
    machine: Path,
    box: Sandbox,
    work: Path,
    hidden: Iterable[Path],
    needed: Iterable[Path],
    address: str,
    accounts: owners.Range = owners.UNUSED,
) -> Enclosure:
    """Find by trying what holds for a machine whose sandbox and rooms are made already.

    Containers do not see the `hidden` folders, and see the `needed` ones all the same.
    """
    script = _copy_code(machine / "conf" / "code") / _PACKAGE / Path(enclose.__file__).name
    parted = f"work={work}", *(f"hide={path}" for path in hidden), *(f"show={path}" for path in needed)
    ways = [Enclosure((), None), Enclosure(parted, None)]
    if os.geteuid() == 0:
        ways.append(Enclosure((*parted, "own="), None, accounts=accounts))
    for way in reversed(ways):
        if _tried(way, script, box, work):
            return way if os.geteuid() else _grouped(way, machine, address)
    return Enclosure((), None, led=False)


def _grouped(way: Enclosure, machine: Path, address: str) -> Enclosure:
    """Return the same with all that control groups can do here."""
    group = groups.usable(machine)
    wall = address if group is not None and network.usable(group, address) else None
    return replace(way, groups=group, limits=limits.usable(machine), wall=wall)


def homes(*programs: Path) -> list[Path]:
    """Return the folders that programs are installed in, those of links on the way to them among them."""
    found: dict[Path, None] = {}
    for program in programs:
        for _ in range(40):  # as the kernel does
            found[program.parents[1].resolve()] = None
            found[program.parents[1]] = None
            if not program.is_symlink():
                break
            program = Path(os.path.normpath(program.parent / program.readlink()))
    return [folder for folder in found if folder != Path("/") and folder.is_dir()]


def tell(machine: Path, description: str) -> None:
    """Note for `told` what holds for the machine in a folder."""
    (machine / _NOTE).write_text(f"{description}\n")


def told(machine: Path) -> str:
    """Return what was noted of the machine in a folder; empty if none ran there yet."""
    try:
        return (machine / _NOTE).read_text().strip()
    except OSError:
        return ""


def install(enclosure: Enclosure, machine: Path, door: str) -> str:
    """Write the programs for a machine's containers; return what comes first in the NodeManager's path."""
    if not enclosure.led:
        return ""
    programs = _open_to_all(machine / "conf" / "bin")
    script = machine / "conf" / "code" / _PACKAGE / Path(enclose.__file__).name
    first = _first(enclosure, script, door)
    tags = (process_tags.VARIABLE, process_tags.STACK_VARIABLE)
    kept = " ".join(f'{name}="${name}"' for name in tags)
    path = f"{programs}:{os.defpath}"
    _program(programs / "setsid", f'exec {shlex.join(first)} "$@"')
    cleaned = f"/usr/bin/env -i PATH={shlex.quote(path)} {kept}"
    _program(programs / "nice", f'by=$2\nshift 2\nexec {cleaned} /usr/bin/nice -n "$by" "$@"')
    return f"{programs}:"


def _copy_code(folder: Path) -> Path:
    """Copy what runs as the jobs' account: this package's own folder may be hidden from it."""
    for part in (folder, folder / _PACKAGE.parent, folder / _PACKAGE):
        _open_to_all(part)
    used = (enclose, mounts, spaces, tree, usage, view, agent)
    files = [Path(str(module.__file__)) for module in used]
    copies = {folder / _PACKAGE / file.name: file for file in files}
    copies[folder / _PACKAGE.parent / "__init__.py"] = Path(distributedmarket.__file__)
    for copy, file in copies.items():
        shutil.copyfile(file, copy)
        copy.chmod(0o644)
    return folder


def _open_to_all(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    folder.chmod(0o755)
    return folder


def _python(script: Path) -> list[str]:
    return [os.path.realpath(sys.executable), "-I", "-S", "-B", str(script)]


def _program(file: Path, text: str) -> None:
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)


def _first(enclosure: Enclosure, script: Path, door: str) -> list[str]:
    """Return the words before a container's command."""
    wishes = [f"files={OPEN_FILES}"]
    if enclosure.spaces and kernel() >= _COUNTED_APART:
        wishes.append(f"processes={limits.PROCESSES}")
    if "memory" in enclosure.limits:
        wishes.append("memory=")
    return [*_python(script), door, *wishes, *enclosure.spaces, "--"]


def kernel() -> tuple[int, ...]:
    """Return the version of this host's kernel, as (6, 1)."""
    return tuple(map(int, re.findall(r"\d+", platform.release())[:2]))


def options(
    enclosure: Enclosure,
    door: str,
    node: Iterable[network.Endpoint] = (),
    reach: Iterable[network.Endpoint] = (),
) -> Iterator[str]:
    """Yield what the guard is told of it; `node` and `reach` are the doors in the wall (network.py)."""
    yield from ("--door", door)
    if enclosure.groups is not None:
        yield from ("--groups", str(enclosure.groups))
    for name, folder in enclosure.limits.items():
        yield from ("--limit", f"{name}={folder}")
    if enclosure.accounts is not None:
        yield from ("--accounts", str(enclosure.accounts))
    if enclosure.wall is not None:
        yield from ("--wall", enclosure.wall)
        for option, endpoints in (("--node", node), ("--reach", reach)):
            for address, port in endpoints:
                yield from (option, f"{address}:{port}")


def _tried(enclosure: Enclosure, script: Path, box: Sandbox, work: Path) -> bool:
    """Tell whether a container that is kept so comes to its end, and can run what it needs."""
    container = work / "local" / "usercache" / "trial" / "appcache" / "application" / "container"
    (container / "tmp").mkdir(parents=True, exist_ok=True)
    (container / enclose.LAUNCH).write_text("touch tmp/mine && [ -r /etc/passwd ]\n")
    for part in (container / enclose.LAUNCH, container / "tmp", *(container / "tmp").parents[:5]):
        os.chown(part, box.uid, box.gid)
    door = f"market-{secrets.token_hex(16)}"
    words = [*_first(enclosure, script, door), "/bin/bash", str(container / enclose.LAUNCH)]
    # The guard takes up who stands where a container's first process does: two steps below the NodeManager.
    below = f"{shlex.join(words)}; exit $?"
    command = ["/bin/sh", "-c", f"/bin/sh -c {shlex.quote(below)}; exit $?"]
    around = box.around(*options(enclosure, door), "--work", str(work))
    try:
        return runs([*around, *command], container)
    finally:
        shutil.rmtree(container.parents[2])


def runs(command: list[str], folder: Path) -> bool:
    """Tell whether a command below a guard comes to a good end."""
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,  # the guard ends the command when it closes
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=folder,
    ) as process:
        try:
            return process.wait(_TRIAL_S) == 0
        except subprocess.TimeoutExpired:
            process.kill()
            return False
