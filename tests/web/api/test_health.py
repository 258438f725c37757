"""What the health check says of parts that answer, fail and hang."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from market.web.api import health


@pytest.fixture
def hangs(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """HDFS hangs until this is set; YARN refuses at once; the database is well."""
    go_on = threading.Event()

    def refuses() -> None:
        raise OSError("refused")

    parts = {"database": lambda: None, "hdfs": lambda: go_on.wait(60), "yarn": refuses}
    monkeypatch.setattr(health, "PARTS", parts)
    monkeypatch.setattr(health, "_DEADLINE_S", 0.2)
    monkeypatch.setattr(health, "_SHARED_S", 0.0)
    yield go_on
    go_on.set()


def test_a_part_that_hangs_is_blamed_alone_however_often_it_is_asked_for(hangs: threading.Event) -> None:
    looks = health.Health()
    before = threading.active_count()
    for _ in range(12):
        assert looks.look() == {"database": "healthy", "hdfs": "not answering", "yarn": "not answering"}
    assert threading.active_count() <= before + 3, "a part that hangs holds one thread"
    hangs.set()
    for _ in range(50):
        if looks.look()["hdfs"] == "healthy":
            break
    assert looks.look() == {"database": "healthy", "hdfs": "healthy", "yarn": "not answering"}
