"""The market's interface for agents, version 1: what an agent says and hears."""

from __future__ import annotations

from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import Any

from distributedmarket import VERSION
from distributedmarket.agent import identity
from distributedmarket.agent.host import Host
from distributedmarket.agent.identity import Identity
from distributedmarket.agent.node_config import Files
from distributedmarket.agent.offer import Offer
from distributedmarket.client import AGENTS, ONCE, MarketApiError, MarketClient, MarketClientError
from distributedmarket.runtime.release import Release

API = 1
GONE = ("left", "rejected")  # states that a machine does not come back from
MISFIT = "runtime_misfit"  # the code of a refusal: this machine's release does not fit the market's
WAIT_S = 10  # how long a heartbeat is held when there is nothing new; the market's own bound
_READ_S = WAIT_S + 20


@dataclass
class Join:
    """What a registered machine starts its NodeManager with; memory in MiB."""

    machine_id: str
    token: str
    ip_address: str
    service_port: int
    core_count: int
    memory_size: int
    drain_timeout: int
    files: Files


@dataclass(frozen=True)
class Pulse:
    """The answer to a heartbeat: the machine as the market sees it. `version` changes with what matters."""

    version: str
    availability: str
    reason: str
    core_count: int
    memory_size: int
    remaining_s: int
    earned: str
    # A market of before these sends none of them.
    ticket: str = ""  # for the pages of the machine's own NodeManager
    admitted: bool = True  # YARN lets its NodeManager in
    encrypted: bool = False  # so must its NodeManager's connections be


class AgentApi:
    """Speaks for the owner of a machine; its release goes with each call by which the market judges it."""

    def __init__(self, market: MarketClient, release: Release) -> None:
        self._market = market.using(prefix=AGENTS)
        # A heartbeat and a goodbye are repeated by the agent itself, which has other things to do meanwhile.
        self._at_once = self._market.using(retries=ONCE)
        self._release = {"agent_version": VERSION, "api": API, **asdict(release)}

    def handshake(self) -> None:
        """Ask whether this release fits the market. Raises MarketApiError with the code MISFIT if not."""
        self._market.post("/handshake", self._release)

    def hadoop(self, file: Path) -> None:
        """Put the market's archive of Hadoop's jars into a file."""
        self._market.download("/hadoop", file)

    def classes(self, file: Path) -> bool:
        """Put the market's list of the classes that jobs load into a file; tell whether it has one."""
        try:
            self._market.download("/classes", file)
        except MarketApiError as error:
            if error.status == 404:
                return False
            raise
        return True

    def register(self, offer: Offer) -> Join:
        """Register a machine."""
        return _join(self._market.post("/machines", offer.body()))

    def resume(self, machine_id: str) -> Join | None:
        """Take a live machine up again; None if the market knows none, or it is leaving."""
        try:
            return _join(self._market.post(f"/machines/{machine_id}/resume"))
        except MarketApiError as error:
            if error.status in (404, 409):
                return None
            raise

    def join(self, join: Join, service_port: int, host: Host) -> None:
        """Use the one-time token. Raises MarketApiError."""
        body = {
            "token": join.token,
            "service_port": service_port,
            "host_cores": max(host.cores, join.core_count),
            "host_memory": max(host.memory_mib, join.memory_size),
        }
        self._market.post(f"/machines/{join.machine_id}/join", body | self._release)

    def identity(self, machine_id: str, at_once: bool = False) -> Identity | None:
        """Have the machine given a key of its own; None where Hadoop's servers believe names.

        Unless it must be `at_once`, it is asked for again if need be: the market keeps no answer with a key
        in it, but makes another one.
        """
        market = self._at_once if at_once else self._market
        try:
            return identity.parsed(market.post(f"/machines/{machine_id}/identity"))
        except MarketApiError as error:
            if error.status == 404:
                return None
            raise

    def heartbeat(self, machine_id: str, known: str, wait_s: int = WAIT_S) -> Pulse:
        """Return the machine's state when it is another one than the `known` version, or after a while."""
        body = {"known": known, "wait_s": wait_s, **self._release}
        answer = self._at_once.post(f"/machines/{machine_id}/heartbeat", body, key="", read_s=_READ_S)
        try:
            needed = [field.name for field in fields(Pulse) if field.default is MISSING]
            return Pulse(
                **{name: answer[name] for name in needed},
                ticket=str(answer.get("ticket", "")),
                admitted=answer.get("admitted", True) is not False,
                encrypted=answer.get("encrypted", False) is True,
            )
        except (KeyError, TypeError):
            raise MarketClientError("the market answers heartbeats otherwise: update this agent") from None

    def leave(self, machine_id: str, now: bool = False) -> None:
        """Have the machine drained, or taken out at once."""
        query = {"now": "true"} if now else {}
        self._at_once.delete(f"/machines/{machine_id}", **query)


def _join(answer: dict[str, Any]) -> Join:
    join = answer["join"]
    return Join(
        machine_id=str(answer["machine_id"]),
        token=str(join["token"]),
        ip_address=str(join["ip_address"]),
        service_port=int(join["service_port"]),
        core_count=int(join["core_count"]),
        memory_size=int(join["memory_size"]),
        drain_timeout=int(join["drain_timeout"]),
        files=join["files"],
    )
