"""The process manager (Supervisor): its configuration, and its XML-RPC interface over a Unix socket."""

from __future__ import annotations

import http.client
import socket
import subprocess
import time
import xmlrpc.client
from pathlib import Path
from typing import Any

from distributedmarket.errors import SetupError
from market.kit import deadlines
from market.kit.settings import Settings
from market.ops.python_path import python_path
from market.ops.run.services import Service, base_environment

_START_DEADLINE_S = 20
_RESTARTS = 10
# With these a machine's agent ends for good: it has left, or was rejected (distributedmarket/agent/agent.py).
_DONE = "0,3"
_NOT_THERE = ("NOT_RUNNING", "BAD_NAME")


class Supervisor:
    """The supervisor of one stack."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._socket = settings.paths.run / "supervisor.sock"
        self._extra = settings.paths.conf / "supervisor.d"
        self._patience_s = deadlines.STOP_CALL.seconds(settings)

    def running(self) -> bool:
        """Tell whether it answers."""
        try:
            return bool(self._rpc.getState()["statecode"] == 1)
        except (OSError, http.client.HTTPException):
            return False

    def configure(self, services: list[Service]) -> Path:
        """Write the configuration; return its file. What runs goes on as it was started, until `replace`."""
        config = self._settings.paths.conf / "supervisord.conf"
        self._extra.mkdir(parents=True, exist_ok=True)
        config.write_text(self._config(services))
        return config

    def launch(self, services: list[Service]) -> None:
        """Write the configuration and start the supervisor; it starts no service by itself."""
        config = self.configure(services)
        program = self._settings.paths.tools / "bin" / "supervisord"
        environment = base_environment(self._settings) | {
            "PYTHONPATH": python_path(self._settings.paths.root)
        }
        done = subprocess.run(
            [str(program), "-c", str(config)], env=environment, capture_output=True, text=True
        )
        if done.returncode:
            raise SetupError(
                f"the process manager does not start: {done.stderr.strip() or done.stdout.strip()}"
            )
        until = time.monotonic() + _START_DEADLINE_S
        while not self.running():
            if time.monotonic() > until:
                raise SetupError(f"the process manager does not answer: see {self._settings.paths.logs}")
            time.sleep(0.05)

    def start(self, name: str) -> None:
        """Start a program unless it runs."""
        self._call("startProcess", name, False, tolerated=("ALREADY_STARTED",))

    def stop(self, name: str) -> None:
        """Stop a program and wait for its end."""
        self._call("stopProcess", name, True, tolerated=_NOT_THERE)

    def replace(self, name: str) -> None:
        """Start a program as the configuration says now, also one that is new to it, in the place of it."""
        self.remove(name)
        self._call("addProcessGroup", name, tolerated=("ALREADY_ADDED",))
        self.start(name)

    def remove(self, name: str) -> None:
        """Stop a program and know it no more; the configuration as it is now counts for the others."""
        self._rpc.reloadConfig()
        self.stop(name)
        self._call("removeProcessGroup", name, tolerated=_NOT_THERE)

    def stop_at_once(self, name: str) -> None:
        """Stop an agent without a drain, which it does at a SIGQUIT."""
        self._call("signalProcess", name, "QUIT", tolerated=_NOT_THERE)
        self.stop(name)

    def states(self) -> dict[str, dict[str, Any]]:
        """Return what is known of each program: statename, pid, description, exitstatus."""
        return {info["name"]: info for info in self._rpc.getAllProcessInfo()}

    def shutdown(self) -> None:
        """Stop all programs, in the opposite order of their start, and the supervisor; wait for its end."""
        pid = self._rpc.getPID()
        self._rpc.shutdown()
        while Path(f"/proc/{pid}").exists() and not _zombie(pid):
            time.sleep(0.1)

    def add(self, name: str, command: list[str], environment: dict[str, str]) -> None:
        """Supervise one more program, until `remove` or the end of the stack; start it."""
        path = self._extra / f"{name}.conf"
        wait_s = deadlines.AGENT_STOP.whole_s(self._settings)
        program = self._program(
            name, command, priority=900, wait_s=wait_s, environment=environment, may_end=True
        )
        path.write_text(program)
        self._rpc.reloadConfig()
        self._call("addProcessGroup", name, tolerated=("ALREADY_ADDED",))
        self.start(name)

    def extras(self) -> list[str]:
        """Return the names of the programs that were added."""
        return sorted(path.stem for path in self._extra.glob("*.conf"))

    def forget_extras(self) -> None:
        """Drop the programs that were added; call it while the supervisor does not run."""
        for path in self._extra.glob("*.conf"):
            path.unlink()

    def _call(self, method: str, *arguments: Any, tolerated: tuple[str, ...] = ()) -> None:
        try:
            getattr(self._rpc, method)(*arguments)
        except xmlrpc.client.Fault as fault:
            if not any(word in fault.faultString for word in tolerated):
                raise SetupError(f"the process manager says {fault.faultString}") from None

    @property
    def _rpc(self) -> Any:
        return xmlrpc.client.ServerProxy(
            "http://market", transport=_Transport(self._socket, self._patience_s)
        ).supervisor

    def _config(self, services: list[Service]) -> str:
        paths = self._settings.paths
        head = [
            "[unix_http_server]",
            f"file={_literal(self._socket)}",
            "chmod=0600",
            "[supervisord]",
            f"logfile={_literal(paths.logs / 'supervisor.log')}",
            "logfile_maxbytes=5MB",
            "logfile_backups=1",
            f"pidfile={_literal(paths.run / 'supervisor.pid')}",
            f"childlogdir={_literal(paths.logs)}",
            "umask=027",
            "[rpcinterface:supervisor]",
            "supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface",
            "[include]",
            f"files={_literal(self._extra)}/*.conf",
            "",
        ]
        python = str(paths.airflow_env / "bin" / "python")
        programs = [
            self._program(
                service.name,
                [python, "-m", "market.ops.run.serve", service.name],
                priority=100 + number,
                wait_s=service.stop_wait_s,
                signal=service.stop_signal,
                environment={"PYTHONPATH": python_path(paths.root)},  # not that of the process manager
            )
            for number, service in enumerate(services)
        ]
        return "\n".join([*head, *programs])

    def _program(
        self,
        name: str,
        command: list[str],
        priority: int,
        wait_s: int,
        signal: str = "TERM",
        environment: dict[str, str] | None = None,
        may_end: bool = False,
    ) -> str:
        given = ",".join(f'{key}="{_literal(value)}"' for key, value in (environment or {}).items())
        lines = [
            f"[program:{name}]",
            "command=" + " ".join(f'"{_literal(word)}"' for word in command),
            f"priority={priority}",
            "autostart=false",
            f"autorestart={'unexpected' if may_end else 'true'}",
            f"exitcodes={_DONE}",
            "startsecs=3",
            f"startretries={_RESTARTS}",
            f"stopsignal={signal}",
            f"stopwaitsecs={wait_s}",
            "killasgroup=true",
            "redirect_stderr=true",
            f"stdout_logfile={_literal(self._settings.paths.logs / (name + '.log'))}",
            "stdout_logfile_maxbytes=20MB",
            "stdout_logfile_backups=2",
        ]
        return "\n".join(lines + ([f"environment={given}"] if given else []) + [""])


def _literal(value: object) -> str:
    return str(value).replace("%", "%%")


def _zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


class _Transport(xmlrpc.client.Transport):
    """XML-RPC over a Unix socket, which only the owner of the stack may open."""

    def __init__(self, path: Path, patience_s: float) -> None:
        super().__init__()
        self._path, self._patience_s = path, patience_s

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        return _UnixConnection(self._path, self._patience_s)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, patience_s: float) -> None:
        super().__init__("market", timeout=patience_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))
