"""`market share`: lend this machine."""

from __future__ import annotations

import argparse
import re
import socket

from distributedmarket.agent import host, owners
from distributedmarket.agent.agent import REJECTED, Agent
from distributedmarket.agent.api import MISFIT, AgentApi
from distributedmarket.agent.folder import claim
from distributedmarket.agent.host import Host
from distributedmarket.agent.offer import Offer
from distributedmarket.cli import credentials
from distributedmarket.cli.lend_token import lending
from distributedmarket.cli.live_line import LiveLine
from distributedmarket.cli.options import memory_mib
from distributedmarket.client import MarketApiError, MarketClient
from distributedmarket.errors import SetupError
from distributedmarket.runtime import machine, release, terminal
from distributedmarket.runtime.places import Places

# A folder of this name is that of the market's own machine, where it runs on this host.
_RESERVED = "pool"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_WINDOW = re.compile(r"\d\d:\d\d-\d\d:\d\d")


def add_arguments(parser: argparse.ArgumentParser, default_server: str = "") -> None:
    """Declare the options; `default_server` says in words which market is meant without --server."""
    parser.add_argument("--cores", type=int, required=True, help="cores to lend")
    parser.add_argument("--memory", required=True, help="memory to lend, as 8g, 1.5g or 1536m")
    parser.add_argument("--type", required=True, help="machine type of the tariff, as cpu")
    parser.add_argument("--hours", type=float, required=True, help="for how long, as 12 or 0.5")
    parser.add_argument("--window", default="", help="hours of the day only, as 22:00-06:00 (default: all)")
    parser.add_argument("--time-zone", default="", help="that the window is meant in (default: this host's)")
    parser.add_argument(
        "--name", default="", help="what others see instead of an address (default: TYPE-HOST)"
    )
    parser.add_argument(
        "--address", default="", help="its address in the pool's network (default: towards the market)"
    )
    parser.add_argument(
        "--accounts",
        type=_accounts,
        default=owners.UNUSED,
        metavar="FIRST-LAST",
        help=f"numbers of accounts for jobs, as root (default: {owners.UNUSED})",
    )
    credentials.add_arguments(parser, default_server)


def run(places: Places, server: str, chosen: argparse.Namespace, login: MarketClient | None = None) -> int:
    """Lend this machine to the market at `server` until it has left; return the exit code.

    It speaks for the `login`, else for whom the options name; but lends with a token that is for that alone.
    Raises SetupError or MarketClientError if it cannot begin.
    """
    memory = memory_mib(chosen.memory)
    _refuse_what_cannot_be(chosen)
    places.state.mkdir(parents=True, exist_ok=True)
    this_host = host.look(places.state)
    host.refuse_too_much(this_host, chosen.cores, memory)
    market = login or credentials.login(server, chosen)
    this_release = release.current(places.runtime)
    api = AgentApi(market, this_release)
    line = LiveLine()
    try:
        api.handshake()  # before the long installation: a release that does not fit is of no use here
    except MarketApiError as error:
        if error.code != MISFIT:
            raise
        line.say(error.detail)
        return REJECTED
    machine.install(places, api.hadoop, api.classes)
    folder = claim(places, chosen.name or f"{chosen.type}-{_host_name()}", exactly=bool(chosen.name))
    local = host.is_local(server)
    if local and (note := _shared_out(market, this_host, folder.name, chosen.cores, memory)):
        line.say(note)
    offer = Offer(
        core_count=chosen.cores,
        memory_size=memory,
        machine_type=chosen.type,
        time_period=round(chosen.hours * 3600),
        name=folder.name,
        ip_address=chosen.address or ("" if local else host.address_towards(server)),
        hours=chosen.window,
        time_zone=(chosen.time_zone or host.time_zone()) if chosen.window else "",
    )
    try:
        with lending(market, folder.name, offer.time_period, folder.path / "token_id") as lender:
            api = AgentApi(lender, this_release)
            return Agent(places, api, this_host, folder, line.show, line.say, chosen.accounts).run(offer)
    finally:
        line.close()
        folder.release()


def _accounts(text: str) -> owners.Range:
    try:
        return owners.Range.read(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text}: write it as FIRST-LAST, from 1 to 2147483647") from None


def _refuse_what_cannot_be(chosen: argparse.Namespace) -> None:
    """Raise SetupError for options that no market would take, before anything is installed."""
    if chosen.name and not (_NAME.fullmatch(chosen.name) and chosen.name != _RESERVED):
        raise SetupError(
            f"--name takes up to 64 letters, digits, '.', '_' and '-', and not the name {_RESERVED}"
        )
    if chosen.cores < 1 or chosen.hours <= 0:
        raise SetupError("--cores and --hours must be more than 0")
    if chosen.window and not _WINDOW.fullmatch(chosen.window):
        raise SetupError(f"--window {chosen.window}: write hours of the day as 22:00-06:00")


def _shared_out(market: MarketClient, this_host: Host, name: str, cores: int, memory: int) -> str:
    """Return a note when the machines of one host together have more than it has; each alone was checked."""
    lent = [
        machine
        for machine in market.get("/machines", limit=200)["machines"]
        if machine["availability"] in ("joining", "active")
        and str(machine["ip_address"]).startswith("127.")
        and machine["display_name"] != name  # this very machine, taken up again
    ]
    all_cores = cores + sum(int(machine["core_count"]) for machine in lent)
    all_memory = memory + sum(int(machine["memory_size"]) for machine in lent)
    if all_cores <= this_host.cores and all_memory <= this_host.memory_mib:
        return ""
    return (
        f"note: your machines on this host add up to {all_cores} cores and {terminal.size(all_memory)}; "
        f"it has {this_host.cores} cores and {terminal.size(this_host.memory_mib)}, which they share"
    )


def _host_name() -> str:
    name = re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname().split(".")[0]).strip("-")
    return name[:40] or "host"
