"""Seals that were published outside the database show a ledger that was rewritten as a whole."""

from __future__ import annotations

import argparse
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ledger_world import MINUTE, T0, World

from market.cluster.hdfs import FileStatus
from market.credits import invariants, seal_log
from market.credits.settlement import steps
from market.kit import database, settings
from market.ops.cli import ledger

pytestmark = pytest.mark.database


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "seals" / "seals.log"


@pytest.fixture
def settled(world: World) -> World:
    buyer, lender = world.member(), world.member()
    machine = world.machine(lender)
    world.online(machine, T0, T0 + 10 * MINUTE)
    job = world.job(buyer)
    world.container(job, machine, T0, T0 + 8 * MINUTE, role="driver")
    world.end_job(job, T0 + 8 * MINUTE)
    world.mark(T0 + 60 * MINUTE)
    steps.settle(T0 + 15 * MINUTE)
    return world


def publish(log: Path) -> int:
    with database.transaction() as cursor:
        return seal_log.publish(cursor, log)


def differences(log: Path) -> list[str]:
    said = seal_log.read(log)
    with database.transaction() as cursor:
        assert invariants.check_seals(cursor) == []
        return seal_log.differences(cursor, said)


def rewrite(world: World) -> None:
    """Change a row, its digest, and every seal from there on, as a superuser may."""
    world.sql(
        "SET session_replication_role = replica;"
        " UPDATE settlement SET fee_micro = 1 WHERE interval_id = 2;"
        " UPDATE seal_page p SET digests = (SELECT array_agg(digest_of(s.texts[p.version]) ORDER BY place)"
        "  FROM unnest(p.keys) WITH ORDINALITY k (key, place)"
        "  JOIN sealable s ON s.kind = p.kind AND s.key = k.key)"
        " WHERE interval_id = 2 AND kind = 'settlement';"
        " UPDATE seal SET sha256 = seal_of(interval_id) WHERE interval_id = 2;"
        " UPDATE seal SET sha256 = seal_of(interval_id) WHERE interval_id = 3;"
        " SET session_replication_role = origin"
    )


def test_each_seal_is_published_once(settled: World, log: Path) -> None:
    assert publish(log) == 3
    assert publish(log) == 0
    assert log.read_text().splitlines()[1] == (
        f"seal 2 {settled.one('SELECT row_count FROM seal WHERE interval_id = 2')}"
        f" {settled.one('SELECT encode(sha256, %s) FROM seal WHERE interval_id = 2', 'hex')}"
    )
    assert log.stat().st_mode & 0o777 == 0o600
    steps.settle(T0 + 20 * MINUTE)
    assert publish(log) == 1
    assert differences(log) == []


def test_a_chain_that_was_rewritten_as_a_whole_is_named(
    settled: World, log: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(log)
    rewrite(settled)
    assert differences(log) == [
        "interval 2: seal 2: not as it was published",
        "interval 3: seal 3: not as it was published",
    ]
    monkeypatch.setattr(settings.Paths, "seal_log", log)
    assert ledger.run(settings.load(), argparse.Namespace(action="verify")) == 1
    assert "interval 2: seal 2: not as it was published" in capsys.readouterr().out


def test_intervals_that_were_taken_away_are_named(settled: World, log: Path) -> None:
    publish(log)
    settled.sql(
        "SET session_replication_role = replica; DELETE FROM seal WHERE interval_id = 3;"
        " SET session_replication_role = origin"
    )
    said = seal_log.read(log)
    with database.transaction() as cursor:
        assert seal_log.differences(cursor, said) == ["interval 3: seal 3: published, and missing"]


def test_after_a_restore_the_intervals_are_published_anew(settled: World, log: Path) -> None:
    publish(log)
    with log.open("a") as file:
        file.write("seal 4 1 00\n")  # of an interval that the restored database does not have
    seal_log.note_restore(log, 3, "2026-11-29T10:00:00Z")
    assert differences(log) == []
    steps.settle(T0 + 20 * MINUTE)
    assert publish(log) == 1
    assert differences(log) == []
    assert seal_log.read(log).restores == ["to 2026-11-29T10:00:00Z, where interval 3 was the last"]


def test_a_line_that_was_cut_off_is_written_again(settled: World, log: Path) -> None:
    publish(log)
    whole = log.read_bytes()
    log.write_bytes(whole[:-10])
    assert publish(log) == 1
    assert log.read_bytes() == whole


def test_a_line_that_says_nothing_is_named(settled: World, log: Path) -> None:
    publish(log)
    log.write_bytes(log.read_bytes().replace(b"seal 2", b"seal two"))
    assert differences(log) == [
        "line 2 of the published seals says nothing",
        "interval 2: seal 2: was never published",
    ]


class _Copy:
    """A file of HDFS."""

    def __init__(self) -> None:
        self.content: bytes | None = None

    def status(self, path: str) -> FileStatus | None:
        return (
            None if self.content is None else FileStatus("seals.log", len(self.content), False, 0, "600", "")
        )

    def mkdirs(self, path: str, permission: str) -> None:
        assert permission == "700"

    def create(self, path: str, chunks: list[bytes]) -> None:
        self.content = b"".join(chunks)

    def append(self, path: str, content: bytes) -> None:
        assert self.content is not None
        self.content += content

    def file(self, path: str) -> Any:
        return None if self.content is None else SimpleNamespace(chunks=lambda: iter([self.content]))


def test_the_copy_gets_what_it_lacks_and_is_never_cut(settled: World, log: Path) -> None:
    files: Any = _Copy()
    publish(log)
    assert seal_log.copy(log, files) == ""
    assert files.content == log.read_bytes()
    steps.settle(T0 + 20 * MINUTE)
    publish(log)
    assert seal_log.copy(log, files) == ""
    assert files.content == log.read_bytes()
    assert seal_log.copy_differs(log, files) == []

    log.write_bytes(log.read_bytes().replace(b"seal 2", b"seal 7"))
    assert len(seal_log.copy_differs(log, files)) == 1
    log.write_bytes(log.read_bytes()[:40])
    assert "lines were taken away" in seal_log.copy(log, files)
    log.unlink()
    assert len(seal_log.copy_differs(log, files)) == 1
