"""The pool of connections: bounded, never waiting for a stranger, and not fooled by a restart."""

from __future__ import annotations

import select
import signal
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import psycopg2
import pytest
import servers
from database_sessions import pid, pid_of
from ledger_world import World

from market.kit import database, notify, pool
from market.kit.errors import BusyError
from market.ops.database import migrate

pytestmark = pytest.mark.database


@pytest.fixture(autouse=True)
def _new_pool(world: World) -> Iterator[None]:
    database.dispose()
    yield
    database.dispose()


def test_a_connection_is_used_again_and_nothing_is_left_open_on_it(world: World) -> None:
    first = pid()
    with pytest.raises(psycopg2.errors.InsufficientPrivilege), database.transaction() as cursor:
        cursor.execute("UPDATE account SET granted_ucr = 0")
    assert pid() == first
    assert world.one("SELECT state FROM pg_stat_activity WHERE pid = %s", first) == "idle"


def test_a_transaction_that_somebody_left_is_rolled_back(world: World) -> None:
    """A caller that took a connection and neither committed nor rolled back."""
    taken = pool.checkout(database._pool())
    with taken.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE left_open ()")
    pool.give_back(taken)
    with database.transaction() as cursor:
        cursor.execute("SELECT to_regclass('left_open')")
        assert cursor.fetchone() == (None,)


def test_one_more_than_the_bound_waits_and_is_then_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "_KEPT", 2)
    monkeypatch.setattr(pool, "BOUND", 3)
    monkeypatch.setattr(pool, "_WAIT_S", 0.5)
    database.dispose()
    with ExitStack() as stack:
        cursors = [stack.enter_context(database.transaction()) for _ in range(3)]
        assert len({pid_of(cursor) for cursor in cursors}) == 3
        began = time.monotonic()
        with pytest.raises(BusyError, match=r"All 3 connections .* in use\. Try again"):
            pid()
        assert 0.5 <= time.monotonic() - began < 5
    with ThreadPoolExecutor(8) as hands:  # more than there are: each gets its turn
        assert len(set(hands.map(lambda _: pid(), range(40)))) <= 5


def test_many_threads_share_the_pool(world: World) -> None:
    with ThreadPoolExecutor(pool.BOUND * 2) as hands:
        for _ in hands.map(lambda _: pid(), range(400)):
            pass
    count = world.one("SELECT count(*) FROM pg_stat_activity WHERE usename = 'market_app'")
    assert count <= pool.BOUND


class Proxy:
    """Stands between the market and PostgreSQL; where a stall is set, nothing passes any more."""

    def __init__(self, port: int) -> None:
        self._to, self._listener = port, socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.stalls: list[threading.Event] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            stalled = threading.Event()
            self.stalls.append(stalled)
            server = socket.create_connection(("127.0.0.1", self._to))
            for pair in ((client, server), (server, client)):
                threading.Thread(target=self._pass, args=(*pair, stalled), daemon=True).start()

    def _pass(self, one: socket.socket, other: socket.socket, stalled: threading.Event) -> None:
        try:
            while data := one.recv(1 << 16):
                while stalled.is_set():
                    time.sleep(0.02)
                other.sendall(data)
        except OSError:
            pass
        for end in (one, other):
            end.close()

    def close(self) -> None:
        for stalled in self.stalls:
            stalled.clear()
        self._listener.close()


def test_a_connection_that_does_not_answer_delays_its_own_user_only(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = Proxy(world.server.port)
    url = world.server.url(migrate.APPLICATION).replace(f":{world.server.port}/", f":{proxy.port}/")
    monkeypatch.setenv("MARKET_DATABASE_URL", url)
    try:
        with ExitStack() as stack:
            for _ in range(4):
                stack.enter_context(database.transaction())
        proxy.stalls[0].set()  # all four are idle in the pool, and one of them is dead to the world
        times: list[float] = []

        def timed(_: int) -> None:
            began = time.monotonic()
            with database.transaction() as cursor:
                pid_of(cursor)
                time.sleep(0.3)  # so that each of the eight needs a connection of its own
            times.append(time.monotonic() - began)

        with ThreadPoolExecutor(8) as hands:
            running = [hands.submit(timed, number) for number in range(8)]
            until = time.monotonic() + 10
            while sum(future.done() for future in running) < 7 and time.monotonic() < until:
                time.sleep(0.02)
            assert sum(future.done() for future in running) == 7
            assert max(times) < 2
            proxy.close()
    finally:
        proxy.close()


def test_a_restart_of_the_server_is_not_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for sent in (signal.SIGINT, signal.SIGQUIT):
        folder = tmp_path / sent.name
        with servers.database(folder) as served:
            monkeypatch.setenv("MARKET_DATABASE_URL", served.url(migrate.APPLICATION))
            before = _pids(4)
            listener = notify.Listener("jobs")
            assert listener.wait(0) is False
            served.restart(sent)
            assert listener.wait(0) is False
            assert listener.wait(0) is True, "a notification may have been missed"
            assert not before & _pids(4)
            assert listener.wait(0.01) is False
            with database.transaction() as cursor:
                notify.notify(cursor, "jobs")
            assert listener.wait(5) is True
            database.dispose()


def _pids(count: int) -> set[int]:
    with ExitStack() as stack:
        return {pid_of(stack.enter_context(database.transaction())) for _ in range(count)}


def test_a_session_that_an_administrator_ended_is_replaced(world: World) -> None:
    first = pid()
    world.sql("SELECT pg_terminate_backend(%s, 5000)", first)
    assert pid() != first


def test_a_message_that_arrives_at_rest_costs_no_connection(world: World) -> None:
    """The server tells idle clients when a setting changes, as after a reload: that is no end."""
    with database.transaction() as cursor:
        first = pid_of(cursor)
        cursor.execute("LISTEN gossip")
        socket = cursor.connection.fileno()
    world.sql("NOTIFY gossip")
    assert select.select([socket], [], [], 30)[0], "the message has arrived"
    assert pid() == first
