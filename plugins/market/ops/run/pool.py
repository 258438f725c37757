"""`python -m market.ops.run.pool`: the market's own machine, which runs drivers and earns for nobody."""

from __future__ import annotations

import signal
import sys
import threading
import time

import psycopg2

from distributedmarket.agent import host, identity
from distributedmarket.agent.agent import RENEW_S
from distributedmarket.agent.folder import claim
from distributedmarket.agent.nodemanager import NodeManager
from market.hadoop import node_config
from market.kit import database, settings
from market.kit.errors import MarketError
from market.kit.settings import Settings
from market.machines import identities, queries, registry
from market.ops.install.install_steps import places_of

_TICK_S = 0.5
_CHECK_TICKS = 20
_AWAY = (MarketError, psycopg2.Error)  # the database, for a moment


def main() -> int:
    """Keep the pool's NodeManager running until a signal; return the exit code."""
    loaded = settings.load()
    ended = threading.Event()
    for sent in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sent, lambda *_: ended.set())
    places = places_of(loaded.paths)
    folder = claim(places, registry.POOL_TYPE, exactly=True)
    pool = loaded.pool
    java_home = host.look(folder.path).java_home
    node = NodeManager(places, folder.path, pool.ip_address, java_home, pool.disk_mib)
    node.sweep()
    ports = host.choose_ports(pool.ip_address, registry.DEFAULT_PORT)
    machine = registry.register_pool(pool.ip_address, ports.service, pool.cores, pool.memory_mib)
    who = identities.issue_pool(loaded, machine.machine_id)
    node.identify(identity.parsed(who) if who else None)
    shared = node_config.shared_files(loaded, pool.cores, pool.memory_mib)
    print(
        f"machine {machine.machine_id} at {machine.node_id}, NodeManager {node.description}",
        flush=True,
    )
    node.start(shared, ports)
    ticks, live, renew_at = 0, True, time.monotonic() + RENEW_S
    try:
        while live and not ended.wait(_TICK_S):
            if time.monotonic() >= renew_at:
                renew_at = time.monotonic() + RENEW_S
                _renew(loaded, node, machine.machine_id)
            if node.keep(shared, ports):
                print(f"the NodeManager had ended and was started again: see {node.log}", flush=True)
            ticks += 1
            if ticks % _CHECK_TICKS == 0:
                live = _live(machine.machine_id)
    finally:
        node.stop()
        folder.release()
    return 0


def _live(machine_id: str) -> bool:
    """Tell whether the market still has this machine; while its database is away nothing here ends."""
    try:
        with database.transaction() as cursor:
            row = queries.find(cursor, machine_id)
    except _AWAY as error:
        print(f"the database does not say whether this machine is to go on: {error}", flush=True)
        return True
    return row is not None and row.live


def _renew(loaded: Settings, node: NodeManager, machine_id: str) -> None:
    try:
        who = identities.issue_pool(loaded, machine_id)
        node.renew(identity.parsed(who) if who else None)
    except _AWAY as error:  # what runs here goes on: the key before is good until another is made
        print(f"the machine's key was not renewed: {error}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
