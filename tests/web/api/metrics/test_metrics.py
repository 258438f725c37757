"""The figures for Prometheus: in its format, few labels, one token, and no scrape that waits."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import requests
import servers
import uvicorn
from fastapi.testclient import TestClient
from ledger_world import MINUTE, World

from market.kit import alerts, clock, database, settings
from market.web.api.app import create_app
from market.web.api.metrics import collector, rows
from market.web.api.metrics.collector import Collector
from market.web.api.metrics.exposition import Family as Figures
from market.web.api.metrics.exposition import Histogram, Sample, gauge, text

TOKEN = "f" * 64
MONITORING = settings.ROOT / "config" / "monitoring"
_LINE = re.compile(
    r'^([a-z_]+)(\{(?:[a-z_]+="(?:[^"\\\n]|\\["\\n])*",?)*\})? (-?\d+(?:\.\d+)?(?:e[+-]\d+)?|[+-]Inf|NaN)$'
)
needs_prometheus = pytest.mark.skipif(
    not (shutil.which("prometheus") and shutil.which("promtool")),
    reason="Prometheus is not installed: apt-get install prometheus",
)


def values(answer: str) -> dict[str, float]:
    """Return the value of each line, by its name with its labels; every line must be one of Prometheus's."""
    found = {}
    for line in answer.splitlines():
        if line.startswith("#"):
            assert re.match(r"^# (HELP|TYPE) [a-z_]+ .+$", line), line
            continue
        assert _LINE.match(line), line
        name, _, value = line.rpartition(" ")
        assert name not in found, line
        found[name] = float(value)
    return found


@pytest.fixture
def token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The header that opens the address, and figures that nobody has asked for yet."""
    monkeypatch.setattr(settings.Settings, "secret", lambda self, name: TOKEN)
    monkeypatch.setattr(collector, "_collector", None)
    return {"Authorization": f"Bearer {TOKEN}"}


def test_a_text_is_as_prometheus_reads_it() -> None:
    histogram = Histogram((1, 2.5, 10))
    for value in (0.5, 1, 2, 11):
        histogram.add(value)
    written = text(
        [
            gauge("market_a", "What it is.", 1.5),
            Figures("market_b", "gauge", "Labels.", [Sample(2, {"kind": 'a "b"\\\n'})]),
            histogram.family("market_c", "A histogram."),
        ]
    )
    assert values(written) == {
        "market_a{}": 1.5,
        'market_b{kind="a \\"b\\"\\\\\\n"}': 2,
        'market_c_bucket{le="1"}': 2,
        'market_c_bucket{le="2.5"}': 3,
        'market_c_bucket{le="10"}': 3,
        'market_c_bucket{le="+Inf"}': 4,
        "market_c_sum{}": 14.5,
        "market_c_count{}": 4,
    }


@pytest.mark.parametrize("header", [{}, {"Authorization": "Bearer " + "0" * 64}, {"Authorization": TOKEN}])
def test_nobody_reads_them_without_the_token(token: dict[str, str], header: dict[str, str]) -> None:
    answer = TestClient(create_app()).get("/metrics", headers=header)
    assert answer.status_code == 401
    assert "market_" not in answer.text


def test_a_source_that_hangs_keeps_no_scrape_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collector, "_PATIENCE_S", 0.2)
    monkeypatch.setattr(collector, "_FRESH_S", 0.0)
    freed, looks = threading.Event(), [0]

    def hangs() -> list[Figures]:
        looks[0] += 1
        if looks[0] > 1:
            freed.wait(30)
        return [gauge("market_slow", "Slow.", looks[0])]

    def fails() -> list[Figures]:
        raise RuntimeError("no")

    made = Collector({"slow": hangs, "broken": fails, "quick": lambda: [gauge("market_quick", "Quick.", 1)]})
    assert values(made.text())["market_slow{}"] == 1
    began = time.monotonic()
    for _ in range(3):
        found = values(made.text())
    assert time.monotonic() - began < 5
    freed.set()
    assert looks[0] == 2, "asked again while an answer is outstanding"
    assert found["market_slow{}"] == 1
    assert found["market_quick{}"] == 1
    assert found['market_figures_up{source="broken"}'] == 0
    assert found['market_figures_up{source="quick"}'] == 1
    assert found['market_figures_age_seconds{source="slow"}'] > 0


@pytest.mark.database
def test_what_the_market_has_is_counted(
    world: World, token: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = clock.now_ms()
    monkeypatch.setattr(rows, "now_ms", lambda: now - 20 * MINUTE)
    counted = rows.Rows()
    monkeypatch.setattr(rows, "now_ms", lambda: now)
    buyer, lender = world.member(), world.member()
    machine = world.machine(lender)
    open_job, ended = world.job(buyer, at=now - 90_000), world.job(buyer, at=now - 10 * MINUTE)
    world.sql("UPDATE job SET started_ms = added_ms + 45000 WHERE job_id = %s", ended)
    world.end_job(ended, now - 5 * MINUTE)
    world.sql("UPDATE job SET machine_type = 'no longer' WHERE job_id = %s", ended)
    world.stand(open_job, "queued", application_id=None)
    world.mark(now - 3_000)
    world.sql("INSERT INTO meter_gap VALUES (%s, %s)", now - 60_000, now - 50_000)
    world.sql("INSERT INTO ledger_check VALUES (%s, 9, 0)", now - 90_000)
    world.sql(
        "INSERT INTO ledger_look (whole, began_ms, after_interval, until_interval, reached, wrong, ended_ms)"
        " VALUES (false, %s, 0, 2, 2, 3, %s)",
        *(now - 30_000, now),
    )
    with database.transaction() as cursor:
        alerts.raise_alert(cursor, alerts.LEDGER, "x", "y")
    found = values(text(counted.families()))
    assert found['market_ledger_verified_age_seconds{look="new"}'] == 30
    assert found['market_ledger_verified_age_seconds{look="whole"}'] == 90
    assert found["market_ledger_look_wrong_rows{}"] == 3
    assert found['market_jobs{status="queued",type="cpu"}'] == 1
    assert 85 <= found['market_queue_age_seconds{type="cpu"}'] <= 95
    assert found['market_queue_age_seconds{type="gpu"}'] == 0
    assert found['market_jobs_ended_total{status="succeeded",type="other"}'] == 1
    assert found['market_job_submit_to_run_seconds_bucket{le="30"}'] == 0
    assert found['market_job_submit_to_run_seconds_bucket{le="60"}'] == 1
    assert found["market_job_submit_to_run_seconds_count{}"] == 1
    assert found['market_machines{state="active",type="cpu"}'] == 1
    assert found["market_holds{}"] == 2
    assert found["market_held_credits{}"] == 10
    assert 299 <= found["market_hold_lag_seconds{}"] <= 301
    assert 2 <= found["market_meter_lag_seconds{}"] <= 5
    assert (found["market_meter_gaps{}"], found["market_meter_gap_seconds{}"]) == (1, 10)
    assert found['market_alerts{kind="ledger"}'] == 1
    assert found['market_alerts{kind="backup"}'] == 0
    assert sum(value for name, value in found.items() if name.startswith("market_job_waits")) == 1
    again = values(text(counted.families()))
    assert again["market_job_submit_to_run_seconds_count{}"] == 1, "a start is counted once"
    assert machine


@pytest.mark.database
def test_a_scrape_has_every_figure_that_rules_and_panels_name(world: World, token: dict[str, str]) -> None:
    answer = TestClient(create_app()).get("/metrics", headers=token)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    found = values(answer.text)
    have = {name.partition("{")[0] for name in found} | set(
        re.findall(r"^# TYPE ([a-z_]+)", answer.text, re.MULTILINE)
    )
    named = set(re.findall(r"market_[a-z_]+", (MONITORING / "alerts.yml").read_text()))
    named |= set(re.findall(r"market_[a-z_]+", (MONITORING / "dashboard.json").read_text()))
    # The log's copies are told of from the first one on.
    assert named - have - {"market_wal_archived_age_seconds"} == set()
    assert len(found) < 400
    assert TestClient(create_app()).head("/metrics", headers=token).status_code == 200


def test_the_dashboard_is_whole() -> None:
    board: dict[str, Any] = json.loads((MONITORING / "dashboard.json").read_text())
    panels = board["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert all(target["expr"] for panel in panels for target in panel["targets"])


@needs_prometheus
def test_promtool_finds_nothing_wrong(tmp_path: Path) -> None:
    shutil.copytree(MONITORING, tmp_path / "monitoring")
    (tmp_path / "monitoring" / "metrics_token").write_text(TOKEN)
    for words in (
        ["check", "config", "prometheus.yml"],
        ["check", "rules", "alerts.yml"],
    ):
        done = subprocess.run(
            ["promtool", *words], cwd=tmp_path / "monitoring", capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stdout + done.stderr


@needs_prometheus
@pytest.mark.database
def test_a_prometheus_scrapes_the_market_and_its_rules_fire(
    world: World, token: dict[str, str], tmp_path: Path
) -> None:
    with database.transaction() as cursor:
        alerts.raise_alert(cursor, alerts.LEDGER, "x", "y")
    folder = tmp_path / "monitoring"
    shutil.copytree(MONITORING, folder)
    (folder / "metrics_token").write_text(TOKEN)
    port, own = servers.free_port(), servers.free_port()
    config = (folder / "prometheus.yml").read_text()
    config = config.replace("127.0.0.1:8080", f"127.0.0.1:{port}").replace("15s", "1s")
    (folder / "prometheus.yml").write_text(config.replace("/market/metrics", "/metrics"))
    server = uvicorn.Server(uvicorn.Config(create_app(), port=port, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    words = ["--config.file=prometheus.yml", "--storage.tsdb.path=data"]
    words += [f"--web.listen-address=127.0.0.1:{own}", "--web.enable-lifecycle"]
    with (folder / "log").open("wb") as log:
        prometheus = subprocess.Popen(
            ["prometheus", *words], cwd=folder, stdout=log, stderr=subprocess.STDOUT
        )
    try:
        assert _answer(own, "query?query=market_alerts{kind='ledger'}", '"1"')
        assert _answer(own, "query?query=up{job='market'}", '"1"')
        assert _answer(own, "alerts", "MarketLedgerAlert")
    finally:
        prometheus.terminate()
        prometheus.wait(30)
        server.should_exit = True
        thread.join(30)


def _answer(port: int, path: str, wanted: str) -> str:
    """Return what Prometheus answers as soon as it has what is wanted."""
    until = time.monotonic() + 60
    while True:
        try:
            answer = requests.get(f"http://127.0.0.1:{port}/api/v1/{path}", timeout=5).text
        except requests.ConnectionError:
            answer = ""
        if wanted in answer:
            return answer
        assert time.monotonic() < until, answer
        time.sleep(0.5)
