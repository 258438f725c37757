"""Time-outs that bear on one another: their order, and that what is configured is what the table says."""

from __future__ import annotations

import ast
from dataclasses import replace
from pathlib import Path

import pytest

from distributedmarket.agent import agent
from distributedmarket.agent import api as agent_api
from market.cluster import spark_ui
from market.hadoop import site, spark
from market.jobs import spec
from market.jobs.submission import submission_lock, warm_submitter
from market.kit import deadlines, settings
from market.kit.deadlines import ORDER, Deadline, Order
from market.kit.settings import Settings
from market.machines import agents
from market.ops.run import airflow, services

LOADED = settings.load()


def changed(**figures: int) -> Settings:
    return replace(LOADED, machines=replace(LOADED.machines, **figures))


CONFIGURED = [
    LOADED,
    changed(drain_timeout_s=4),
    changed(drain_timeout_s=7_200),
    changed(node_expiry_s=10),
    changed(node_expiry_s=600),
]


@pytest.mark.parametrize("order", ORDER, ids=lambda order: f"{order.shorter.name}, {order.longer.name}")
def test_none_undoes_another(order: Order) -> None:
    for configured in CONFIGURED:
        assert order.shorter.seconds(configured) * order.times < order.longer.seconds(configured), (
            order.otherwise
        )


@pytest.mark.parametrize("configured", CONFIGURED[:1] + CONFIGURED[-1:])
def test_yarn_and_spark_are_told_what_the_table_says(configured: Settings) -> None:
    yarn, defaults = site.files(configured)["yarn-site.xml"], spark.defaults(configured)
    expiry_ms = int(yarn["yarn.am.liveness-monitor.expiry-interval-ms"])
    assert expiry_ms == deadlines.DRIVER.ms(configured) > spec.MAX_DURATION_S * 1000
    # The ResourceManager refuses to start otherwise (AMRMTokenSecretManager).
    told_ms = int(defaults["spark.hadoop.yarn.am.liveness-monitor.expiry-interval-ms"])
    assert told_ms < 2**31, "Spark's ApplicationMaster reads it as an int, and would not start"
    token_s = int(yarn["yarn.resourcemanager.am-rm-tokens.master-key-rolling-interval-secs"])
    assert token_s * 1000 > 3 * expiry_ms
    node_ms = int(yarn["yarn.nm.liveness-monitor.expiry-interval-ms"])
    assert round(node_ms * 4 / 3) == deadlines.NODE.ms(configured)
    for deadline in (deadlines.SESSION, deadlines.EXECUTOR_BEAT, deadlines.EXECUTOR, deadlines.TASK_DRAIN):
        assert defaults[deadline.place] == f"{deadline.whole_s(configured)}s"
    assert int(yarn[deadlines.PROXY.place]) == deadlines.PROXY.ms(configured)
    assert deadlines.LONGEST_JOB.seconds(configured) == spec.MAX_DURATION_S


def test_airflow_is_told_what_the_table_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Settings, "secret", lambda self, name: name)
    environment = airflow.environment(LOADED)
    told = [row for row in deadlines.all_of() if row.place.startswith("[") and "machines" not in row.place]
    assert len(told) == 9
    for row in told:
        section, name = row.place.strip("[").split("] ")
        assert environment[f"AIRFLOW__{section.upper()}__{name.upper()}"] == str(row.whole_s(LOADED))


@pytest.mark.parametrize(
    ("deadline", "figure"),
    [
        (deadlines.AGENT_DRAIN, LOADED.machines.drain_timeout_s + agent._AFTER_DRAIN_S),
        (deadlines.AGENT_READ, agent_api._READ_S),
        (deadlines.AGENT_BEAT, agents.MOST_WAIT_S),
        (deadlines.AGENT_BEAT, agent_api.WAIT_S),
        (deadlines.SUBMITTER_READY, warm_submitter._READY_S),
        (deadlines.SUBMITTER_END, warm_submitter._END_S),
        (deadlines.SUBMISSION_LOCK, submission_lock._PATIENCE_S),
        (deadlines.DRIVER_PAGES, spark_ui._TOTAL_S),
        (deadlines.HEALTH_CHECK, services._TIMEOUT_S),
    ],
    ids=lambda value: value.name if isinstance(value, Deadline) else str(value),
)
def test_who_cannot_read_the_table_has_its_figure(deadline: Deadline, figure: float) -> None:
    """The agent is on other people's machines, and the submitter starts without the market's packages."""
    assert deadline.seconds(LOADED) == figure


def test_the_health_check_has_the_table_s_figure() -> None:
    """Read, not imported: it would load the whole of the web."""
    tree = ast.parse((settings.ROOT / "plugins/market/web/api/health.py").read_text())
    figures = {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    assert figures["_DEADLINE_S"] == deadlines.HEALTH.seconds(LOADED)


def test_operators_find_every_row() -> None:
    text = Path(settings.ROOT / "docs/operators.md").read_text()
    for order in ORDER:
        assert f"| {_row(order.shorter)} | {_row(order.longer)} | {order.otherwise} |" in text


def _row(deadline: Deadline) -> str:
    return f"{deadline.name}: {_shown(deadline.seconds(LOADED))}"


def _shown(seconds: float) -> str:
    return f"{seconds / 86_400:.0f} d" if seconds >= 86_400 else f"{seconds:.0f} s"


if __name__ == "__main__":  # writes the table for the guide
    for one in ORDER:
        print(f"| {_row(one.shorter)} | {_row(one.longer)} | {one.otherwise} |")
