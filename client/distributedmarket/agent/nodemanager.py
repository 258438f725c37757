"""One NodeManager of this host: its folder, its process, its end."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from distributedmarket.agent import cores, node_config, process_tags
from distributedmarket.agent.node_config import Files, Ports
from distributedmarket.agent.sandbox import Sandbox, sandbox
from distributedmarket.runtime import class_data
from distributedmarket.runtime.java import HADOOP_SERVER
from distributedmarket.runtime.places import Places

_MAIN = "org.apache.hadoop.yarn.server.nodemanager.NodeManager"
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
    """A NodeManager in `folder`: `conf/` and `node.log` are its owner's, `work/` is the jobs'."""

    def __init__(self, places: Places, folder: Path, address: str, java_home: str) -> None:
        self._places, self._folder = places, folder
        self._address, self._java_home = address, java_home
        self._process: subprocess.Popen[bytes] | None = None
        self._started, self._failures = 0.0, 0
        self._work = folder / "work"
        for part in (folder.parent, folder):
            part.mkdir(mode=0o711, parents=True, exist_ok=True)
            part.chmod(0o711)
        self._work.mkdir(exist_ok=True)
        (self._work / "tmp").mkdir(exist_ok=True)
        readable = [places.runtime, places.hadoop, folder / "conf"]
        (folder / "conf").mkdir(exist_ok=True)
        self.sandbox: Sandbox = sandbox(self._work, readable, self._hidden())
        self.cores = cores.Cores(folder)
        self.log = folder / "node.log"

    def _hidden(self) -> list[Path]:
        # As another user the market's files are closed anyway; the other machines' are not.
        if os.geteuid() == 0:
            return [self._folder.parent]
        return sorted({self._places.state, self._places.installs})

    def start(self, shared: Files, ports: Ports) -> None:
        """Start it with the market's properties; call it from the main thread, whose end it follows."""
        self.sweep()
        self._prepare(
            node_config.local_files(
                shared, self._address, ports, self._work, self._path, self._inherited_variables()
            )
        )
        hadoop = self._places.hadoop
        words = [str(Path(self._java_home) / "bin" / "java"), f"-Xmx{_HEAP_MIB}m", *HADOOP_SERVER]
        words += self._own_archive()
        words += [f"-Djava.io.tmpdir={self._work / 'tmp'}"]
        words += ["-cp", f"{self._folder / 'conf'}:{hadoop}/classes:{hadoop}/jars/*", _MAIN]
        self._shorten_log()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*self.cores.words(os.getpid(), self._death_signal()), *self.sandbox.words, *words],
                stdin=subprocess.PIPE,  # closes when this process ends: see guard.py
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._work,
                env=self._environment(),
                start_new_session=True,
            )
        self._started = time.monotonic()

    def keep(self, shared: Files, ports: Ports) -> bool:
        """Start it again if it ended and some time has passed; tell whether it was started."""
        if self.running():
            return False
        lasted = time.monotonic() - self._started
        if lasted > _STEADY_S:
            self._failures = 0
        if lasted < _BACKOFF_S[min(self._failures, len(_BACKOFF_S) - 1)]:
            return False
        self._failures += 1
        self.start(shared, ports)
        return True

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

    def clear(self) -> None:
        """Delete what jobs left in the work folder, and the control group; call it while nothing runs."""
        cores.forget(self._folder)
        shutil.rmtree(self._work, ignore_errors=True)

    def _death_signal(self) -> int:
        # A namespace's first process dies with `unshare`, and all in it; a bare guard must still clean up.
        return signal.SIGKILL if self.sandbox.words[0] in ("unshare", "bwrap") else signal.SIGTERM

    def _prepare(self, files: Files) -> None:
        conf = self._folder / "conf"
        for name, properties in files.items():
            (conf / name).write_text(node_config.xml(properties))
            (conf / name).chmod(0o644)
        (conf / "log4j.properties").write_text(_LOG4J)
        (conf / "log4j.properties").chmod(0o644)
        conf.chmod(0o755)
        for name in ("", "local", "logs", "tmp", "home"):
            part = self._work / name
            part.mkdir(exist_ok=True)
            os.chown(part, self.sandbox.uid, self.sandbox.gid)
            part.chmod(0o1777 if name == "tmp" else 0o750)

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
        has_archive = class_data.archive(runtime).exists()
        return {name: os.environ[name] for name in ("LANG", "TZ") if name in os.environ} | {
            "JAVA_HOME": self._java_home,
            "MARKET_RUNTIME": str(runtime),
            "SPARK_LOCAL_IP": self._address,
            "JDK_JAVA_OPTIONS": " ".join(class_data.options(runtime)) if has_archive else "",
            process_tags.VARIABLE: str(self._folder),
            process_tags.STACK_VARIABLE: os.environ.get(process_tags.STACK_VARIABLE, str(self._places.state)),
        }

    @property
    def _path(self) -> str:
        return f"{self._places.runtime / 'bin'}:{Path(self._java_home) / 'bin'}:{os.defpath}"

    def _own_archive(self) -> list[str]:
        """Return the option that gives the NodeManager Java's own class data, not the jobs'."""
        own = Path(self._java_home) / "lib" / "server" / "classes.jsa"
        return [f"-XX:SharedArchiveFile={own}"] if own.exists() else []

    def _shorten_log(self) -> None:
        if self.log.exists() and self.log.stat().st_size > _LOG_BYTES:
            self.log.replace(self.log.with_suffix(".log.1"))
