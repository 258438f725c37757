"""A market that is written to all the time, brought back to any second: what was paid by then, and no more.

`MARKET_RESTORES` says to how many random seconds; three are enough for each change, twenty for a release.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import psycopg2
import pytest
import servers
from ledger_world import MINUTE, T0, World

from distributedmarket.errors import SetupError
from market.credits import seal_log
from market.credits.settlement import steps
from market.kit import database, settings
from market.kit.clock import now_ms
from market.kit.settings import Settings
from market.ops.backup import kept
from market.ops.backup.restore import Wanted, restore
from market.ops.backup.take import take
from market.ops.database import postgres
from market.ops.run import secrets

pytestmark = pytest.mark.database

_RESTORES = int(os.environ.get("MARKET_RESTORES", "3"))
_ARCHIVED_S = 60


class Reopened(World):
    """A market that is there already."""

    def __post_init__(self) -> None:
        self.names = 900_000
        self.connect()


@dataclass
class Writer:
    """Grants, holds, charges and settles without a pause; knows when each grant was committed."""

    world: World
    grants: list[tuple[str, int, int]] = field(default_factory=list)  # member, before, after: epoch ms
    stopped: threading.Event = field(default_factory=threading.Event)
    trouble: list[BaseException] = field(default_factory=list)

    def run(self) -> None:
        at = T0
        try:
            lender = self.world.member(0)
            machine = self.world.machine(lender)
            while not self.stopped.is_set():
                began = now_ms()
                buyer = self.world.member(15_000_000, at)
                self.grants.append((buyer, began, now_ms()))
                job = self.world.job(buyer, at=at)
                self.world.container(job, machine, at, at + 4 * MINUTE, role="driver")
                self.world.end_job(job, at + 4 * MINUTE)
                at += 5 * MINUTE
                self.world.mark(at + 60 * MINUTE)
                steps.settle(at)
        except BaseException as error:
            self.trouble.append(error)


@dataclass
class Market:
    """A market's state folder and its server."""

    settings: Settings
    server: servers.Database
    backups: Path

    def backup(self) -> kept.Backup:
        return take(self.settings, self.backups, progress, print)

    def archived(self) -> None:
        """Wait until all that was written is in the log of changes that backups keep."""
        with contextlib.closing(psycopg2.connect(self.server.url(postgres.SUPERUSER, "postgres"))) as session:
            session.autocommit = True
            with session.cursor() as cursor:
                cursor.execute("SELECT pg_walfile_name(pg_switch_wal())")
                last = cursor.fetchone()[0]
        until = time.monotonic() + _ARCHIVED_S
        place = next(self.backups.glob("wal-*"))
        while not (place / f"{last}.gz").exists():
            assert time.monotonic() < until, f"{last} was not archived"
            time.sleep(0.1)


@contextlib.contextmanager
def progress(title: str) -> Iterator[None]:
    yield


def state_folder(state: Path) -> Settings:
    (state / "run").mkdir(parents=True)
    return settings.load(state)


@contextlib.contextmanager
def served(
    loaded: Settings, passwords: dict[str, str] | None, monkeypatch: pytest.MonkeyPatch
) -> Iterator[servers.Database]:
    """Serve the database of a state folder, as the one that this process uses."""
    with servers.database(loaded.paths.data, passwords=passwords) as server:
        (loaded.paths.run / "ports.json").write_text(json.dumps({"postgres": server.port}))
        monkeypatch.setenv("MARKET_DATABASE_URL", server.url("market_app"))
        yield server
        database.dispose()


@pytest.fixture
def market(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Market]:
    loaded = state_folder(tmp_path / "state")
    with served(loaded, None, monkeypatch) as server:
        secrets.generate(loaded.paths)
        for role, word in server.passwords.items():
            secrets.replace(loaded.paths.secrets / f"db_{role}", word.encode())
        server.migrate()
        yield Market(loaded, server, tmp_path / "backups")


def written(market: Market, seconds: float, during: Callable[[], None]) -> Writer:
    """Write for a while, and do something meanwhile."""
    writer = Writer(Reopened(market.server, names=0))
    thread = threading.Thread(target=writer.run)
    thread.start()
    try:
        during()
        time.sleep(seconds)
    finally:
        writer.stopped.set()
        thread.join(60)
        writer.world.close()
    assert writer.trouble == []
    return writer


def members(world: World) -> set[str]:
    return {row.user_id for row in world.sql("SELECT user_id FROM account WHERE granted_ucr > 0")}


def published_differences(loaded: Settings) -> list[str]:
    said = seal_log.read(loaded.paths.seal_log)
    with database.transaction() as cursor:
        return seal_log.differences(cursor, said)


def test_any_second_comes_back_as_it_was(
    market: Market, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def during() -> None:
        time.sleep(1)
        market.backup()
        time.sleep(1.5)
        assert market.backup().parent
        with database.transaction() as cursor:
            seal_log.publish(cursor, market.settings.paths.seal_log)

    writer = written(market, 3, during)
    market.archived()
    first, last = kept.all_of(market.backups)[0].ended_ms, writer.grants[-1][1]
    seed = int(os.environ.get("MARKET_SEED", str(now_ms())))
    print(f"MARKET_SEED={seed}: {len(writer.grants)} grants in {last - first} ms")
    chance = random.Random(seed)
    passwords = market.server.passwords
    for number in range(_RESTORES):
        at = chance.randint(first, last)
        there = state_folder(tmp_path / f"host{number}")
        shutil.copytree(market.settings.paths.seal_log.parent, there.paths.seal_log.parent)
        wanted = Wanted(market.backups, at, key_file=market.settings.backup_key)
        restore(there, wanted, progress, print)
        with served(there, passwords, monkeypatch) as server:
            world = Reopened(server)
            have = members(world)
            assert {who for who, _, after in writer.grants if after < at} <= have
            assert have <= {who for who, before, _ in writer.grants if before <= at}
            assert world.violations() == []
            assert published_differences(there) == []
            # It goes on: what was open is settled, once.
            until = world.one("SELECT coalesce(max(until_ms), %s) FROM settlement", T0) + 30 * MINUTE
            world.mark(until + 60 * MINUTE)
            steps.settle(until)
            assert world.violations() == []
            assert world.one("SELECT count(*) FROM hold WHERE closed_ms IS NULL") == 0
            assert world.sql("SELECT used_ucr FROM account WHERE used_ucr > 270000") == []
            with database.transaction() as cursor:
                seal_log.publish(cursor, there.paths.seal_log)
            assert published_differences(there) == []
            world.close()
        shutil.rmtree(there.paths.state)


def test_nobody_pays_twice_for_what_ran_meanwhile(
    market: Market, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job runs at that time and is charged at its end; the restored market learns of it, and charges it."""
    world = Reopened(market.server, names=0)
    buyer, lender = world.member(), world.member()
    machine = world.machine(lender)
    job = world.job(buyer)
    container = world.container(job, machine, T0, role="driver")
    world.mark(T0 + 8 * MINUTE)
    steps.settle(T0 + 5 * MINUTE)
    market.backup()
    time.sleep(0.1)
    at = now_ms()
    time.sleep(0.1)
    world.end_container(container, T0 + 7 * MINUTE)
    world.end_job(job, T0 + 7 * MINUTE)
    world.mark(T0 + 60 * MINUTE)
    steps.settle(T0 + 15 * MINUTE)
    paid = world.balances(buyer).using_ucr
    world.close()
    market.archived()
    there = state_folder(tmp_path / "host")
    restore(there, Wanted(market.backups, at, key_file=market.settings.backup_key), progress, print)
    with served(there, market.server.passwords, monkeypatch) as server:
        world = Reopened(server)
        assert world.one("SELECT status FROM job") == "running"
        assert 0 < world.balances(buyer).using_ucr < paid
        world.end_container(container, T0 + 7 * MINUTE)
        world.end_job(job, T0 + 7 * MINUTE)
        world.mark(T0 + 60 * MINUTE)
        steps.settle(T0 + 15 * MINUTE)
        assert world.balances(buyer).using_ucr == paid
        assert world.balances(buyer).held_ucr == 0
        assert world.violations() == []
        world.close()


def test_the_same_host_has_what_was_not_archived_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = state_folder(tmp_path / "state")
    with served(loaded, None, monkeypatch) as server:
        secrets.generate(loaded.paths)
        for role, word in server.passwords.items():
            secrets.replace(loaded.paths.secrets / f"db_{role}", word.encode())
        server.migrate()
        there = Market(loaded, server, tmp_path / "backups")
        there.backup()
        world = Reopened(server, names=0)
        late = world.member()
        world.close()
    restore(loaded, Wanted(there.backups), progress, print)
    assert len(list(loaded.paths.data.glob("postgres.before-*"))) == 1
    with served(loaded, server.passwords, monkeypatch) as server:
        world = Reopened(server)
        assert members(world) == {late}
        # The log has begun a new line of its history.
        Market(loaded, server, there.backups).backup()
        assert world.violations() == []
        world.close()


def test_a_backup_that_was_damaged_is_refused(market: Market, tmp_path: Path) -> None:
    folder = market.backups / market.backup().name / "postgres"
    largest = max((file for file in folder.glob("base/*/*")), key=lambda file: file.stat().st_size)
    content = bytearray(largest.read_bytes())
    content[len(content) // 2] ^= 1
    largest.write_bytes(content)
    there = state_folder(tmp_path / "host")
    with pytest.raises(SetupError, match=f"{largest.name} is not as it was written"):
        restore(there, Wanted(market.backups, key_file=market.settings.backup_key), progress, print)
    assert not (there.paths.data / "postgres").exists()


def test_a_time_before_all_backups_is_refused(market: Market, tmp_path: Path) -> None:
    before = now_ms()
    market.backup()
    there = state_folder(tmp_path / "host")
    with pytest.raises(SetupError, match=r"no backup in .* is that old: the first one ended at"):
        restore(there, Wanted(market.backups, before), progress, print)
    assert not (there.paths.data / "postgres").exists()


def test_secrets_are_read_with_the_operator_s_key_only(market: Market, tmp_path: Path) -> None:
    made = market.backup()
    folder = market.backups / made.name
    whole = b"".join(
        file.read_bytes() for file in folder.rglob("*") if file.is_file() and "postgres" not in file.parts
    )
    assert market.settings.secret("db_postgres").encode() not in whole
    assert market.settings.backup_key.stat().st_mode & 0o777 == 0o600
    other = tmp_path / "other.key"
    other.write_text("A" * 43 + "=")
    with pytest.raises(SetupError, match="is not the key of"):
        restore(state_folder(tmp_path / "host"), Wanted(market.backups, key_file=other), progress, print)


def test_what_is_kept_reaches_back_as_far_as_was_said(market: Market) -> None:
    first = market.backup()
    time.sleep(1.1)
    second = market.backup()
    assert second.parent == first.name
    short = replace(market.settings, backup=replace(market.settings.backup, retention_s=1, full_every_s=1))
    time.sleep(1.1)
    # A whole one is due; the second one and what it needs reach back a second, the first one's log as well.
    third = take(short, market.backups, progress, print)
    assert third.parent == ""
    assert {one.name for one in kept.all_of(market.backups)} == {first.name, second.name, third.name}
    time.sleep(1.1)
    fourth = take(short, market.backups, progress, print)
    assert {one.name for one in kept.all_of(market.backups)} == {third.name, fourth.name}
    log = kept.archive(market.backups, third.system)
    oldest = kept._first_log_file(market.backups / third.name)
    names = [file.name.removesuffix(".gz") for file in log.glob("*.gz") if len(file.name) == 27]
    assert names
    assert min(names) >= oldest
