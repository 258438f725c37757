"""An alert is open until somebody has seen it or it is over; each kind has its entry in the runbook."""

from __future__ import annotations

import argparse
import json
import re

import pytest
from ledger_world import World

from market.kit import alerts, clock, database, settings
from market.kit.errors import NotFoundError
from market.kit.paging import Page
from market.ops.cli import alerts as command

DAY_MS = 86_400_000


def raised(kind: str, subject: str = "n1", detail: str = "why", once: bool = False) -> None:
    with database.transaction() as cursor:
        (alerts.raise_once if once else alerts.raise_alert)(cursor, kind, subject, detail)


def listed(state: str = alerts.OPEN) -> list[alerts.Alert]:
    return list(alerts.list_alerts(Page(), state).rows)


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list whose first number is what the clock is ahead, in milliseconds."""
    ahead, now = [0], clock.now_ms
    monkeypatch.setattr(clock, "now_ms", lambda: now() + ahead[0])
    return ahead


@pytest.mark.database
def test_one_that_is_raised_again_is_counted(world: World, later: list[int]) -> None:
    raised(alerts.GIVEN_UP, detail="first")
    later[0] = 5_000
    raised(alerts.GIVEN_UP, detail="second")
    (alert,) = listed()
    assert (alert.times, alert.detail) == (2, "second")
    assert 5_000 <= alert.at - alert.first < 60_000
    raised(alerts.GIVEN_UP, detail="third", once=True)
    assert listed() == [alert]


@pytest.mark.database
def test_one_that_was_acknowledged_stays_so_until_it_was_over(world: World, later: list[int]) -> None:
    raised(alerts.UNREGISTERED_NODE)
    (alert,) = listed()
    seen = alerts.acknowledge(alert.alert_id, "admin")
    assert seen.acknowledged_by == "admin"
    assert alerts.acknowledge(alert.alert_id, "other") == seen
    raised(alerts.UNREGISTERED_NODE)
    assert listed() == []
    later[0] = DAY_MS + 1_000
    alerts.tidy()
    assert listed(alerts.ALL)[0].cleared is not None
    raised(alerts.UNREGISTERED_NODE)
    (again,) = listed()
    assert (again.times, again.acknowledged, again.cleared) == (1, None, None)
    assert again.first > alert.first
    assert world.one("SELECT count(*) FROM audit WHERE kind = 'administration'") == 1
    with pytest.raises(NotFoundError):
        alerts.acknowledge(alert.alert_id + 1000, "admin")


@pytest.mark.database
def test_what_is_over_clears_by_itself_and_the_ledger_does_not(world: World, later: list[int]) -> None:
    for kind in alerts.KINDS:
        raised(kind)
    with database.transaction() as cursor:
        alerts.clear(cursor, alerts.BACKUP, "n1")
        assert alerts.open_by_kind(cursor)[alerts.LEDGER] == 1
        assert alerts.BACKUP not in alerts.open_by_kind(cursor)
    alerts.tidy()
    assert len(listed()) == len(alerts.KINDS) - 1
    later[0] = 8 * DAY_MS
    alerts.tidy()
    assert {alert.kind for alert in listed()} == {alerts.LEDGER, alerts.SEAL_LOG}
    later[0] = 200 * DAY_MS
    alerts.tidy()
    assert {alert.kind for alert in listed(alerts.ALL)} == {alerts.LEDGER, alerts.SEAL_LOG}


@pytest.mark.database
def test_the_command_shows_and_acknowledges(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    loaded = settings.load()
    raised(alerts.LEDGER, subject="[red]x", detail="12 credits too many")
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    assert command.run(loaded, parser.parse_args(["--json"])) == 0
    (alert,) = json.loads(capsys.readouterr().out)
    assert alert["subject"] == "[red]x"
    assert command.run(loaded, parser.parse_args(["--acknowledge", str(alert["alert_id"])])) == 0
    assert "nothing needs a look" in capsys.readouterr().out
    assert command.run(loaded, parser.parse_args(["--all"])) == 0
    assert "[red]x" in capsys.readouterr().out


def test_each_kind_has_an_entry_in_the_runbook() -> None:
    page = (settings.ROOT / "docs" / "runbook.md").read_text()
    entries = re.findall(r"^## `(\w+)`$", page, re.MULTILINE)
    assert entries == sorted(alerts.KINDS)
    for entry in page.split("\n## `")[1:]:
        kind = entry.partition("`")[0]
        for part in ("**What it means.**", "**What to do.**", "**When it clears.**"):
            assert part in entry, (kind, part)


def test_each_kind_that_is_raised_is_known() -> None:
    defined = {
        value for name, value in vars(alerts).items() if name.isupper() and isinstance(value, str)
    } - set(alerts.STATES)
    assert {value for value in defined if not value.startswith(("INSERT", " ", "\n", "SELECT"))} - {
        alerts._IS_OPEN
    } == set(alerts.KINDS)
