"""One NodeManager of this host: its folder, its process, its end."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import time
from pathlib import Path

from distributedmarket.agent import (
    cores,
    enclosure,
    groups,
    identity,
    limits,
    node_config,
    own_disk,
    owners,
    process_tags,
)
from distributedmarket.agent.enclosure import Enclosure
from distributedmarket.agent.identity import Identity, Installed
from distributedmarket.agent.node_config import Files, Ports
from distributedmarket.agent.sandbox import Sandbox, sandbox
from distributedmarket.runtime import class_data
from distributedmarket.runtime.java import HADOOP_SERVER
from distributedmarket.runtime.places import Places

_CODE = Path(__file__).resolve().parents[2]  # the folder of this package
_MAIN = "org.apache.hadoop.yarn.server.nodemanager.NodeManager"
_AUDIENCE = "nm"  # what the market's tickets call a machine's pages, before its address
_HEAP_MIB = 64
_LOG4J = """\
log4j.rootLogger=INFO, console
log4j.appender.console=org.apache.log4j.ConsoleAppender
log4j.appender.console.target=System.out
log4j.appender.console.layout=org.apache.log4j.PatternLayout
log4j.appender.console.layout.ConversionPattern=%d{ISO8601} %p %c{1}: %m%n
log4j.logger.org.apache.hadoop.util.NativeCodeLoader=ERROR
"""
_STOP_S = 25  # the guard kills after 10 s, twice
_LOG_BYTES = 20 << 20
_BACKOFF_S = (1, 2, 5, 10, 30)
_STEADY_S = 60


class NodeManager:
    """A NodeManager in `folder`: `conf/` and `node.log` are its owner's, `work/` is the jobs'.

    With `disk_mib`, `work/` is a disk of its own of that size where root may make one. `accounts` are those
    that root gives to containers.
    """

    def __init__(
        self,
        places: Places,
        folder: Path,
        address: str,
        java_home: str,
        disk_mib: int = 0,
        accounts: owners.Range = owners.UNUSED,
    ) -> None:
        self._places, self._folder = places, folder
        self._address, self._java_home = address, java_home
        self._process: subprocess.Popen[bytes] | None = None
        self._started, self._failures = 0.0, 0
        self._identity: Installed | None = None
        self._work = folder / "work"
        for part in (folder.parent, folder):
            part.mkdir(mode=0o711, parents=True, exist_ok=True)
            part.chmod(0o711)
        (self._work / "tmp").mkdir(parents=True, exist_ok=True)
        for part in (folder / "conf", identity.shown(folder)):
            part.mkdir(exist_ok=True)
            part.chmod(0o755)
        python = places.runtime / "bin" / "python"
        needed = [places.runtime, *enclosure.homes(python, Path(java_home) / "bin" / "java")]
        readable = [*needed, places.hadoop, folder / "conf", identity.folder(folder)]
        # The guard starts behind the covers: a release of a market has its code in the market's state.
        readable += [_CODE] if any(cover in _CODE.parents for cover in self._hidden()) else []
        self.sandbox: Sandbox = sandbox(self._work, readable, self._hidden())
        own_disk.make_rooms(self._work, self.sandbox.uid, self.sandbox.gid)
        hidden = list(dict.fromkeys([places.state, places.installs, places.origin]))
        seen = [*needed, identity.shown(folder)]
        self._strongest = enclosure.choose(folder, self.sandbox, self._work, hidden, seen, address, accounts)
        self._image = folder / "work.img"
        self._disk_mib = self._mountable(disk_mib) if disk_mib else 0
        enclosure.tell(folder, self._protection)
        self.cores = cores.Cores(folder)
        self.log = folder / "node.log"

    @property
    def description(self) -> str:
        """How jobs are kept apart from what is not theirs, and what they leave is ended, for people."""
        return f"{self.sandbox.description}, {self._protection}"

    def _hidden(self) -> list[Path]:
        # As another user the market's files are closed anyway; the other machines' are not.
        if os.geteuid() == 0:
            return [self._folder.parent]
        return sorted({self._places.state, self._places.installs, self._places.origin})

    @property
    def has_key(self) -> bool:
        """Tell whether it proves who the machine is."""
        return self._identity is not None

    @property
    def _enclosure(self) -> Enclosure:
        # What the guard is told of memory it is told by a class that comes with the machine's key.
        return self._strongest if self._identity else self._strongest.without_memory()

    @property
    def _protection(self) -> str:
        bound = [f"its files on a disk of {self._disk_mib} MiB"] if self._disk_mib else []
        return ", ".join([self._enclosure.description, *bound])

    def identify(self, who: Identity | None) -> None:
        """Have its next start prove who the machine is; None where names are believed."""
        identity.forget(self._folder)
        self._identity = (
            identity.install(who, self._folder, self.sandbox.uid, self.sandbox.gid) if who else None
        )
        enclosure.tell(self._folder, self._protection)

    def renew(self, who: Identity | None) -> None:
        """Give it another key while it runs."""
        if who is not None and self._identity is not None:
            identity.renew(who, self._identity)

    def start(self, shared: Files, ports: Ports) -> None:
        """Start it with the market's properties; call it from the main thread, whose end it follows."""
        self.sweep()
        self._prepare(
            node_config.local_files(
                shared,
                self._address,
                ports,
                self._work,
                self._path,
                self._inherited_variables(),
                self._identity.properties() if self._identity else None,
            )
        )
        words = [str(Path(self._java_home) / "bin" / "java"), f"-Xmx{_HEAP_MIB}m", *HADOOP_SERVER]
        words += self._own_archive()
        words += [f"-Djava.io.tmpdir={self._work / 'tmp'}"]
        words += self._own_name()
        words += ["-cp", self._class_path(), _MAIN]
        door = f"market-{secrets.token_hex(16)}"
        programs = enclosure.install(self._enclosure, self._folder, door)
        self._shorten_log()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *self.cores.words(os.getpid(), self._death_signal()),
                    *self.sandbox.around(*self._guard_options(door, shared, ports)),
                    *words,
                ],
                stdin=subprocess.PIPE,  # closes when this process ends: see guard.py
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._work,
                env=self._environment() | {"PATH": f"{programs}{self._path}"},
                start_new_session=True,
            )
        self._started = time.monotonic()

    def keep(self, shared: Files, ports: Ports) -> bool:
        """Start it, again if it ended and some time has passed; tell whether it was started."""
        if self.running():
            return False
        if not self.begun:
            self.start(shared, ports)
            return True
        lasted = time.monotonic() - self._started
        if lasted > _STEADY_S:
            self._failures = 0
        if lasted < _BACKOFF_S[min(self._failures, len(_BACKOFF_S) - 1)]:
            return False
        self._failures += 1
        self.start(shared, ports)
        return True

    @property
    def begun(self) -> bool:
        """Tell whether it was ever started."""
        return self._process is not None

    def running(self) -> bool:
        """Tell whether it runs."""
        return self._process is not None and self._process.poll() is None

    def exit_code(self) -> int | None:
        """Return how it ended; None while it runs."""
        return self._process.poll() if self._process is not None else None

    def stop(self) -> None:
        """End it and all that it started; returns when nothing of it is left."""
        if self._process is not None:
            if self._process.stdin is not None:
                self._process.stdin.close()
            try:
                self._process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self.sweep()

    def sweep(self) -> None:
        """Kill what an agent that died without notice left behind."""
        until = time.monotonic() + _STOP_S
        while (left := set(process_tags.of(self._folder)) - {os.getpid()}) and time.monotonic() < until:
            for pid in left:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            time.sleep(0.1)
        groups.end_all(self._folder)
        limits.end_all(self._folder)
        own_disk.remove(self._image)

    def clear(self) -> None:
        """Delete what jobs left in the work folder, and the control group; call it while nothing runs."""
        cores.forget(self._folder)
        identity.forget(self._folder)
        shutil.rmtree(self._work, ignore_errors=True)

    def _death_signal(self) -> int:
        # A namespace's first process dies with `unshare`, and all in it; a bare guard must still clean up.
        return signal.SIGKILL if self.sandbox.words[0] in ("unshare", "bwrap") else signal.SIGTERM

    def _prepare(self, files: Files) -> None:
        conf = self._folder / "conf"
        for earlier in conf.glob("*-site.xml"):
            earlier.unlink()
        for name, properties in files.items():
            (conf / name).write_text(node_config.xml(properties))
            (conf / name).chmod(0o644)
        (conf / "log4j.properties").write_text(_LOG4J)
        (conf / "log4j.properties").chmod(0o644)
        conf.chmod(0o755)
        own_disk.make_rooms(self._work, self.sandbox.uid, self.sandbox.gid)
        if self._disk_mib:
            own_disk.make(self._image, self._disk_mib)

    def _mountable(self, wished_mib: int) -> int:
        """Return how large (MiB) a disk of its own the folder for work can be; 0 where it cannot be one."""
        if os.geteuid() or self.sandbox.words[0] != "unshare":  # it would be mounted for the whole host
            return 0
        # It grows as it is filled, and must not find the host's disk full.
        mib = min(wished_mib, (shutil.disk_usage(self._folder).free >> 20) * 3 // 4)
        options = ["--image", str(self._image), "--work", str(self._work)]
        try:
            own_disk.make(self._image, mib)
            works = enclosure.runs([*self.sandbox.around(*options), "true"], self._folder)
        except (OSError, subprocess.SubprocessError):
            works = False
        finally:
            own_disk.remove(self._image)
        return mib if works else 0

    def _guard_options(self, door: str, shared: Files, ports: Ports) -> list[str]:
        # Its pages show whatever runs there, to everybody where names are believed.
        open_ports = [ports.service, *([ports.web] if self._identity else [])]
        node = [(self._address, port) for port in open_ports]
        reach = node_config.reachable(shared)
        options = [*enclosure.options(self._enclosure, door, node, reach), "--work", str(self._work)]
        options += node_config.disk_options(shared)
        if self._disk_mib:
            options += ["--image", str(self._image)]
        return options

    def _environment(self) -> dict[str, str]:
        return self._inherited_variables() | {
            "PATH": self._path,
            "HOME": str(self._work / "home"),
            "HADOOP_CONF_DIR": str(self._folder / "conf"),
            "MALLOC_ARENA_MAX": "2",
        }

    def _inherited_variables(self) -> dict[str, str]:
        """Return what containers take over from the NodeManager.

        Submitted commands name the runtime by MARKET_RUNTIME, which is another folder on each machine.
        SPARK_LOCAL_IP binds drivers and executors to the machine's own address. By the process tags the
        processes that outlive their machine or their stack are known.
        """
        runtime = self._places.runtime
        options = class_data.options(runtime) if class_data.archive(runtime).exists() else []
        options += self._identity.java_options if self._identity else []
        return {name: os.environ[name] for name in ("LANG", "TZ") if name in os.environ} | {
            "JAVA_HOME": self._java_home,
            "MARKET_RUNTIME": str(runtime),
            "SPARK_LOCAL_IP": self._address,
            "JDK_JAVA_OPTIONS": " ".join(options),
            process_tags.VARIABLE: str(self._folder),
            process_tags.STACK_VARIABLE: os.environ.get(process_tags.STACK_VARIABLE, str(self._places.state)),
        }

    @property
    def _path(self) -> str:
        return f"{self._places.runtime / 'bin'}:{Path(self._java_home) / 'bin'}:{os.defpath}"

    def _own_name(self) -> list[str]:
        """Return what its Java is told of who it is, and that no other process may look into it."""
        audience = [f"-Dmarket.audience={_AUDIENCE}/{self._address}"] if self._identity else []
        return [*audience, "-XX:+DisableAttachMechanism"]

    def _class_path(self) -> str:
        own = f"{self._identity.classes}:" if self._identity else ""
        hadoop = self._places.hadoop
        return f"{self._folder / 'conf'}:{own}{hadoop}/classes:{hadoop}/jars/*"

    def _own_archive(self) -> list[str]:
        """Return the option that gives the NodeManager Java's own class data, not the jobs'."""
        own = Path(self._java_home) / "lib" / "server" / "classes.jsa"
        return [f"-XX:SharedArchiveFile={own}"] if own.exists() else []

    def _shorten_log(self) -> None:
        if self.log.exists() and self.log.stat().st_size > _LOG_BYTES:
            self.log.replace(self.log.with_suffix(".log.1"))
