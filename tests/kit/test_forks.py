"""A forked child and its parent do not share connections: each speaks on its own."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator

import pytest
from database_sessions import pid, pid_of
from ledger_world import World

from market.kit import database

pytestmark = pytest.mark.database


@pytest.fixture(autouse=True)
def _new_pool(world: World) -> Iterator[None]:
    database.dispose()
    yield
    database.dispose()


def test_a_child_has_connections_of_its_own_and_leaves_the_parent_s_alone(world: World) -> None:
    first = pid()
    with database.transaction() as cursor:  # one in use, one at rest
        used = pid_of(cursor)
        second = pid()
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.write(writing, f"{pid()} {_sockets_to(world.server.port)}".encode())
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        of_child, sockets = os.read(reading, 100).split()
        assert int(of_child) not in (first, second)
        assert int(sockets) == 2, "its own, and the test's that the market does not know"
        assert pid_of(cursor) == used
    assert {pid(), used} <= {first, second}


def _sockets_to(port: int) -> int:
    count = 0
    for number in os.listdir("/proc/self/fd"):
        try:
            with socket.socket(fileno=os.dup(int(number))) as one:
                count += one.getpeername()[1] == port
        except OSError:
            pass
    return count


def test_the_locks_of_a_parent_that_was_killed_do_not_live_on_in_its_child(world: World) -> None:
    """As Airflow's scheduler: killed in a transaction while a worker that it forked goes on."""
    reading, writing = os.pipe()
    parent = os.fork()
    if parent == 0:
        with database.transaction() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(4711)")
            child = os.fork()
            if child:
                os.write(writing, str(child).encode())
            time.sleep(60)
            os._exit(0)
    child = int(os.read(reading, 100))
    try:
        assert _locked(world)
        os.kill(parent, signal.SIGKILL)
        os.waitpid(parent, 0)
        until = time.monotonic() + 10
        while _locked(world) and time.monotonic() < until:
            time.sleep(0.05)
        assert not _locked(world)
    finally:
        os.kill(child, signal.SIGKILL)


def _locked(world: World) -> bool:
    return bool(world.sql("SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objid = 4711"))
