"""`market share`: what its options mean, and the line that it shows."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from distributedmarket import profiles
from distributedmarket.agent import host, owners
from distributedmarket.agent.agent import REJECTED, Glance
from distributedmarket.agent.api import MISFIT, AgentApi, Pulse
from distributedmarket.agent.offer import Offer
from distributedmarket.cli import credentials, share, table
from distributedmarket.cli.context import Context
from distributedmarket.cli.live_line import live_line
from distributedmarket.cli.share import memory_mib
from distributedmarket.client import MarketApiError, MarketClient
from distributedmarket.errors import SetupError
from distributedmarket.runtime.places import Places
from distributedmarket.sdk.routes import Routes

PULSE = Pulse("1", "draining", "the lease ends", 4, 8192, 5400, "0.250000")


@pytest.mark.parametrize(
    ("text", "mib"), [("8g", 8192), ("8G", 8192), ("8GiB", 8192), ("1536m", 1536), ("1.5g", 1536)]
)
def test_memory_is_read_as_people_write_it(text: str, mib: int) -> None:
    assert memory_mib(text) == mib


@pytest.mark.parametrize("text", ["8", "g", "-1g", "8t", "1.g", ""])
def test_memory_without_a_unit_is_refused(text: str) -> None:
    with pytest.raises(SetupError, match=r"as 8g, 1\.5g or 1536m"):
        memory_mib(text)


def test_more_than_the_host_has_is_refused_in_the_words_of_the_options() -> None:
    small = host.Host(cores=2, memory_mib=3000, disk_mib=1 << 20, java_home="", java=17)
    with pytest.raises(
        SetupError, match=r"has 2\.9 GiB of memory, not 4\.0 GiB: lend at most --memory 3000m"
    ):
        host.refuse_too_much(small, 2, 4096)


def options(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    share.add_arguments(parser)
    return parser.parse_args(["--cores=1", "--memory=1g", "--type=cpu", "--hours=1", *words])


def test_the_accounts_for_jobs_are_a_range_that_root_may_choose(capsys: pytest.CaptureFixture[str]) -> None:
    assert options().accounts == owners.UNUSED
    assert options("--accounts", "60000-60100").accounts == owners.Range(60000, 60100)
    for wrong in ("60000", "0-9", "9-1", "1-2147483648", "a-b"):
        with pytest.raises(SystemExit):
            options("--accounts", wrong)
        assert "write it as FIRST-LAST" in capsys.readouterr().err


def test_the_live_line_says_state_use_time_and_earnings() -> None:
    assert live_line(Glance(PULSE, 2, 3, 2048)) == (
        "draining (the lease ends), 2 containers, 3 of 4 cores, 2.0 GiB of 8.0 GiB, 1 h 30 min left,"
        " earned 0.250000"
    )
    assert live_line(Glance(None, 0, 0, 0, "the market does not answer")) == (
        "registering, the market does not answer"
    )
    for seconds, words in ((59, "59 s"), (61, "1 min"), (3600, "1 h 0 min"), (200_000, "2 days")):
        assert f"{words} left" in live_line(Glance(replace(PULSE, remaining_s=seconds), 0, 0, 0))


def chosen(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    share.add_arguments(parser)
    return parser.parse_args(["--cores", "1", "--memory", "1g", "--type", "cpu", "--hours", "1", *words])


@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        (["--cores", "0"], "more than 0"),
        (["--hours", "-1"], "more than 0"),
        (["--name", "pool"], "not the name pool"),
        (["--name", "a b"], "letters, digits"),
        (["--window", "at night"], "22:00-06:00"),
    ],
)
def test_what_no_market_would_take_is_refused_at_once(words: list[str], remedy: str, tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=remedy):
        share.run(Places(tmp_path, tmp_path), "http://127.0.0.1:9", chosen(*words))


def test_a_release_that_does_not_fit_installs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(api: AgentApi) -> None:
        raise MarketApiError(
            "POST", "/handshake", 409, {"code": MISFIT, "detail": "stop the agent, update it"}
        )

    monkeypatch.setattr(credentials, "login", lambda server, chosen: MarketClient(server))
    monkeypatch.setattr(AgentApi, "handshake", refuse)
    assert share.run(Places(tmp_path, tmp_path), "http://127.0.0.1:9", chosen()) == REJECTED
    assert "update it" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "token"),
    [([], "token"), (["--username", "bob"], ""), (["--server", "http://10.0.0.9:1"], "")],
)
def test_a_login_at_the_same_market_lends_without_being_asked_again(
    monkeypatch: pytest.MonkeyPatch, words: list[str], token: str
) -> None:
    login = profiles.Profile("http://10.0.0.1:8080", "ada", "1", "token", plain_http=True)
    monkeypatch.setattr(profiles, "find", lambda name: login)
    lent: list[MarketClient | None] = []
    monkeypatch.setattr(share, "run", lambda places, server, chosen, login: lent.append(login) or 0)
    size = ["--cores", "1", "--memory", "1g", "--type", "cpu", "--hours", "1"]
    chosen = table.parser(only="share").parse_args(["share", *size, *words])
    assert chosen.run(Context(chosen), chosen) == 0
    assert [one.token if one else "" for one in lent] == [token]


def test_the_agent_speaks_with_a_token_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str]] = []

    def create(routes: Routes, body: dict[str, Any]) -> dict[str, Any]:
        asked.append((routes._client.token, ",".join(body["scopes"])))
        return {"token_id": "0" * 32, "token": "dmt_lend"}

    class Lends:
        def __init__(self, places: Places, api: AgentApi, *others: object) -> None:
            self.api = api

        def run(self, offer: Offer) -> int:
            asked.append((self.api._market.token, offer.name))
            return 0

    monkeypatch.setattr(AgentApi, "handshake", lambda api: None)
    monkeypatch.setattr(share.machine, "install", lambda places, hadoop, classes: None)
    monkeypatch.setattr(share, "Agent", Lends)
    monkeypatch.setattr(share, "_shared_out", lambda *_: "")
    monkeypatch.setattr(Routes, "create_token", create)
    monkeypatch.setattr(Routes, "revoke_token", lambda routes, token_id: asked.append(("ended", token_id)))
    login = MarketClient("http://127.0.0.1:9", "login")
    places = Places(tmp_path, tmp_path)
    assert share.run(places, "http://127.0.0.1:9", chosen("--name", "mine"), login) == 0
    assert asked == [("login", "lend"), ("dmt_lend", "mine"), ("ended", "0" * 32)]
    assert not (places.machines / "mine" / "token_id").exists()
