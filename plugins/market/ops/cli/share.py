"""`./market share`: lend this machine.

It runs in the agent's own environment: nothing here may import Airflow, a database's driver or Flask.
"""

from __future__ import annotations

import argparse
import getpass
import os
import re
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.status import Status

from market.hadoop.site import POOL_LABEL
from market.kit.settings import Settings
from market.machines import host, hours
from market.machines.agent import Agent, Glance, Offer, claim
from market.ops.cli.rest import Rest
from market.ops.install import setup
from market.ops.install.shell import SetupError

console = Console(highlight=False, soft_wrap=True)

_MEMORY = re.compile(r"(\d+)\s*([gm])(i?b)?", re.IGNORECASE)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--cores", type=int, required=True, help="cores to lend")
    parser.add_argument("--memory", required=True, help="memory to lend, as 8g or 1536m")
    parser.add_argument("--type", required=True, help="machine type of the tariff, as cpu")
    parser.add_argument("--hours", type=float, required=True, help="for how long")
    parser.add_argument("--window", default="", help="hours of the day only, as 22:00-06:00")
    parser.add_argument("--time-zone", default="", help="that the window is meant in (default: this host's)")
    parser.add_argument("--name", default="", help="what others see instead of an address")
    parser.add_argument("--server", default="", help="address of the market (default: the one of this clone)")
    parser.add_argument("--username", default="", help="who lends (default: asked for)")
    parser.add_argument("--password-file", type=Path, help="file with the password (default: asked for)")
    parser.add_argument("--address", default="", help="this machine's address in the pool's network")


def run(settings: Settings, chosen: argparse.Namespace) -> int:
    """Lend this machine until it has left; return the exit code."""
    server = chosen.server or settings.url("api")
    if server == settings.url("api"):
        _belong_to(settings)
    memory = memory_mib(chosen.memory)
    if chosen.name and not (_NAME.fullmatch(chosen.name) and chosen.name != POOL_LABEL):
        raise SetupError("--name takes up to 64 letters, digits, '.', '_' and '-', and not the name pool")
    if chosen.cores < 1 or chosen.hours <= 0:
        raise SetupError("--cores and --hours must be more than 0")
    if chosen.window:
        try:
            hours.parse(chosen.window)
        except ValueError as error:
            raise SetupError(f"--window {chosen.window}: {error}") from None
    settings.paths.state.mkdir(parents=True, exist_ok=True)
    found = host.look(settings.paths.state)
    host.refuse_too_much(found, chosen.cores, memory)
    market = Session(server, *_credentials(chosen))
    setup.run_machine(settings.paths, lambda file: market.download("/machines/hadoop", file))
    folder, name, lock = claim(settings, chosen.name or f"{chosen.type}-{_host_name()}", bool(chosen.name))
    local = host.is_local(server)
    if local:
        _warn_if_shared_out(market, found, name, chosen.cores, memory)
    offer = Offer(
        core_count=chosen.cores,
        memory_size=memory,
        machine_type=chosen.type,
        time_period=round(chosen.hours * 3600),
        name=name,
        ip_address=chosen.address or ("" if local else host.address_towards(server)),
        hours=chosen.window,
        time_zone=(chosen.time_zone or host.time_zone()) if chosen.window else "",
    )
    display = Display()
    try:
        return Agent(settings, market, found, folder, display.show, display.say).run(offer)
    finally:
        display.close()
        lock.close()


def _belong_to(settings: Settings) -> None:
    """Carry the mark of the stack, so that its end is this agent's end too; may start this process anew.

    What other processes see of an environment is what a process was started with.
    """
    mark = str(settings.paths.state)
    if os.environ.get("MARKET_STACK") != mark:
        os.environ["MARKET_STACK"] = mark
        os.execv(sys.executable, [sys.executable, "-m", "market.ops.cli", *sys.argv[1:]])  # noqa: S606


def memory_mib(text: str) -> int:
    """Return the MiB that `8g` or `1536m` mean. Raises SetupError."""
    match = _MEMORY.fullmatch(text.strip())
    if match is None:
        raise SetupError(f"--memory {text}: write it as 8g or 1536m")
    return int(match.group(1)) * (1024 if match.group(2).lower() == "g" else 1)


class Session:
    """Speaks with the market as one person, and logs in again when the token has expired."""

    def __init__(self, server: str, username: str, password: str) -> None:
        self._anonymous, self._username, self._password = Rest(server), username, password
        self._rest = self._anonymous.login(username, password)

    def get(self, path: str, **query: Any) -> Any:
        """Return what a route answers."""
        return self._again(lambda rest: rest.get(path, **query))

    def post(self, path: str, body: object = None, expect: tuple[int, ...] = ()) -> Any:
        """Post a body; codes in `expect` are answers too, beside 2xx."""
        return self._again(lambda rest: rest.post(path, body, expect))

    def delete(self, path: str, **query: Any) -> Any:
        """Delete something."""
        return self._again(lambda rest: rest.delete(path, **query))

    def download(self, path: str, file: Path) -> None:
        """Put what a route answers into a file."""
        self._again(lambda rest: rest.download(path, file))

    def _again(self, ask: Callable[[Rest], Any]) -> Any:
        try:
            return ask(self._rest)
        except SetupError as error:
            if ": 401 " not in str(error):
                raise
        self._rest = self._anonymous.login(self._username, self._password)
        return ask(self._rest)


class Display:
    """One line that lives in a terminal; elsewhere a line for each change."""

    def __init__(self) -> None:
        self._status: Status | None = None
        self._last: tuple[object, ...] = ()

    def show(self, glance: Glance) -> None:
        """Show how the machine is."""
        text = live_line(glance)
        if console.is_terminal:
            if self._status is None:
                self._status = console.status(text)
                self._status.start()
            self._status.update(text)
            return
        now = (glance.record.get("availability"), glance.record.get("reason"), glance.containers, glance.note)
        if now != self._last:
            self._last = now
            self.say(text)

    def say(self, text: str) -> None:
        """Print a line."""
        console.print(text, markup=False)
        sys.stdout.flush()

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self._status is not None:
            self._status.stop()


def live_line(glance: Glance) -> str:
    """Return the machine's state, use and earnings in one line."""
    record = glance.record
    parts = [str(record.get("availability", "registering"))]
    if record.get("reason"):
        parts[0] += f" ({record['reason']})"
    parts.append(f"{glance.containers} containers")
    parts.append(f"{glance.cores} of {record.get('core_count', '?')} cores")
    parts.append(f"{glance.memory_mib} of {record.get('memory_size', '?')} MiB")
    parts.append(f"earned {record.get('earned', '0.000000')}")
    if glance.note:
        parts.append(glance.note)
    return ", ".join(parts)


def _credentials(chosen: argparse.Namespace) -> tuple[str, str]:
    terminal = sys.stdin.isatty()
    if not chosen.username and not terminal:
        raise SetupError("who lends? Give --username and --password-file: there is no terminal to ask")
    username = chosen.username or input("Username: ").strip()
    if chosen.password_file is not None:
        try:
            return username, chosen.password_file.read_text().strip()
        except OSError as error:
            raise SetupError(f"--password-file {chosen.password_file}: {error.strerror}") from None
    if not terminal:
        raise SetupError("give --password-file: there is no terminal to ask for the password")
    return username, getpass.getpass("Password: ")


def _warn_if_shared_out(market: Session, found: host.Host, name: str, cores: int, memory: int) -> None:
    """Say when the machines of one host together have more than it has; each alone was checked."""
    lent = [
        one
        for one in market.get("/machines", limit=200)["machines"]
        if one["availability"] in ("joining", "active")
        and str(one["ip_address"]).startswith("127.")
        and one["display_name"] != name  # this very machine, taken up again
    ]
    all_cores = cores + sum(int(one["core_count"]) for one in lent)
    all_memory = memory + sum(int(one["memory_size"]) for one in lent)
    if all_cores > found.cores or all_memory > found.memory_mib:
        console.print(
            f"note: your machines on this host add up to {all_cores} cores and {all_memory} MiB; "
            f"it has {found.cores} cores and {found.memory_mib} MiB, which they share"
        )


def _host_name() -> str:
    name = re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname().split(".")[0]).strip("-")
    return name[:40] or "host"
