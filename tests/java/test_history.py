"""Spark's History Server behind the market's filter: it is for the market alone, on every page."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest
import requests
from servers import free_port

from market.cluster import tickets
from market.kit import settings
from market.kit.settings import Security, Settings
from market.ops.install import history_jar
from market.ops.run import secrets
from market.ops.run.services import all_services

PAGES = ["/", "/api/v1/version", "/api/v1/applications", "/static/webui.css", "/history/x/jobs/", "/nothing"]


@dataclass(frozen=True)
class History:
    """A History Server that runs as the stack starts it, but for where its logs lie."""

    loaded: Settings

    def get(self, path: str, **headers: str) -> requests.Response:
        return requests.get(self.loaded.url("spark_history_http") + path, headers=headers, timeout=30)

    def ticket(self, user: str = "market", audience: str = tickets.SPARK_HISTORY, life_s: int = 60) -> str:
        return tickets.ticket(self.loaded.secret(tickets.SECRET), user, audience, life_s)

    def answers(self) -> bool:
        try:
            return self.get("/").status_code > 0
        except requests.ConnectionError:
            return False


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Iterator[History]:
    state = tmp_path_factory.mktemp("state")
    (state / "runtime").symlink_to(settings.load().paths.runtime)
    loaded = settings.load(state)
    loaded = replace(
        loaded,
        paths=replace(loaded.paths, installs=state),
        security=Security(mode=settings.KERBEROS),
        preferred_ports=loaded.preferred_ports | {"spark_history_http": free_port()},
    )
    for folder in (loaded.paths.conf, loaded.paths.run, state / "events"):
        folder.mkdir()
    secrets.generate(loaded.paths)
    secrets.publish(loaded.paths)
    history_jar.build(loaded.paths)
    service = next(one for one in all_services(loaded) if one.name == "spark-history")
    words = [word for word in service.command(loaded) if not word.startswith("-Dspark.history.kerberos")]
    words.insert(words.index("-cp"), f"-Dspark.history.fs.logDirectory=file:{state / 'events'}")
    with (state / "log").open("wb") as log:
        process = subprocess.Popen(words, stdout=log, stderr=log)
    try:
        running = History(loaded)
        until = time.monotonic() + 60
        while not running.answers() and process.poll() is None and time.monotonic() < until:
            time.sleep(0.1)
        assert running.answers(), (state / "log").read_text()[-2000:]
        yield running
    finally:
        process.terminate()
        process.wait(30)


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("query", ["", "?user.name=market&doAs=market"])
def test_a_typed_name_opens_no_page(history: History, page: str, query: str) -> None:
    answer = history.get(page + query)
    assert (answer.status_code, answer.headers.get("WWW-Authenticate")) == (401, "Market")


def test_the_market_sees_it(history: History) -> None:
    answer = history.get("/api/v1/version", Authorization=history.ticket())
    assert answer.status_code == 200
    assert answer.json()["spark"]


def test_a_ticket_of_somebody_else_or_for_another_server_opens_nothing(history: History) -> None:
    for ticket in (
        history.ticket(user="alice"),
        history.ticket(audience=tickets.RESOURCEMANAGER),
        history.ticket(life_s=0),
        tickets.ticket(tickets.generate(), "market", tickets.SPARK_HISTORY),
        "Market nothing",
    ):
        assert history.get("/api/v1/applications", Authorization=ticket).status_code == 403


def test_the_supervisor_s_look_is_let_in(history: History) -> None:
    service = next(one for one in all_services(history.loaded) if one.name == "spark-history")
    assert service.check(history.loaded) == ""
