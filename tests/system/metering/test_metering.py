"""What the meter writes down, against the real ResourceManager's own totals."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yarn_log
from agents import Agent, nodemanager
from people import Person, until

from market.cluster import event_log
from market.cluster.clients import hdfs, resource_manager
from market.cluster.errors import ClusterUnavailable
from market.cluster.resourcemanager import App
from market.credits import invariants
from market.credits.settlement.steps import settle
from market.hadoop import paths
from market.jobs import store
from market.kit import clock, database, settings
from market.kit.money import parse_credits
from market.ops.run.supervisor import Supervisor

pytestmark = [pytest.mark.cluster, pytest.mark.alone]

_SLEEPS = """
import time
from pyspark.sql import SparkSession
spark = SparkSession.builder.getOrCreate()
spark.sparkContext.parallelize(range(4), 4).foreach(lambda _: time.sleep(3))
spark.stop()
"""


@pytest.fixture(scope="module")
def silenced(lenders: Callable[..., Agent]) -> Agent:
    """A machine that was online and fell silent; YARN finds that out while other tests run."""
    agent = lenders("silenced", kind="silent")
    agent.wait("active")
    machine_id = agent.record()["machine_id"]
    with database.transaction() as cursor:  # as if it had been measured, which takes a minute
        cursor.execute(
            "UPDATE machine SET verified_ms = %s WHERE machine_id = %s", [clock.now_ms(), machine_id]
        )
    until(lambda: _rows("SELECT 1 FROM machine_presence WHERE machine_id = %s", machine_id), "its uptime", 30)
    agent.die()
    until(lambda: not agent.left_behind(), "its end", 10)
    return agent


@pytest.fixture
def remembers_one(stack: settings.Settings) -> Iterator[None]:
    """Let a ResourceManager that starts again remember one ended application; in the end all again."""
    file = stack.paths.hadoop_conf / "yarn-site.xml"
    before = file.read_text()
    setting = r"(<name>yarn\.resourcemanager\.max-completed-applications</name><value>)\d+"
    changed, times = re.subn(setting, r"\g<1>1", before)
    assert times == 1
    file.write_text(changed)
    yield
    file.write_text(before)
    nodes = _running_nodes()
    supervisor = Supervisor(stack)
    supervisor.stop("resourcemanager")
    supervisor.start("resourcemanager")
    until(_answers, "the ResourceManager", 60)
    until(lambda: nodes <= _running_nodes(), "its nodes", 60)  # the tests that follow find the stack whole


@pytest.fixture(scope="module")
def job(silenced: Agent, buyer: Person, machines: list[dict[str, Any]]) -> dict[str, Any]:
    """A job of some seconds, whose usage is final."""
    buyer.put("sleeps/main.py", _SLEEPS)
    job_id = buyer.submit("sleeps", core_num=2)
    found = buyer.ended(job_id)
    assert found["status"] == "succeeded", (found["reason"], buyer.log(job_id, file="stderr"))
    until(
        lambda: _rows("SELECT 1 FROM application_usage WHERE final AND job_id = %s", job_id), "the totals", 30
    )
    return found


def _rows(statement: str, *values: object) -> list[Any]:
    with database.transaction() as cursor:
        cursor.execute(statement, values)
        rows: list[Any] = cursor.fetchall()
    return rows


def test_a_short_job_is_metered_as_the_resource_manager_counts_it(
    stack: settings.Settings, job: dict[str, Any]
) -> None:
    containers = _rows("SELECT * FROM container_usage WHERE job_id = %s", job["job_id"])
    app = resource_manager().app(job["application_id"])

    assert app is not None
    assert _all_run(stack, job["job_id"])
    lives = yarn_log.lives(stack, job["application_id"]).values()
    first_end_ms = min(life.end_ms for life in lives if life.ran)
    assert all(life.end_ms < first_end_ms for life in lives if not life.ran), "handed back while the job runs"
    assert all(one.machine_id is not None and one.end_kind == "finished" for one in containers)
    metered = sum(one.memory_mib * (one.end_ms - one.start_ms) for one in containers) / 1000
    assert metered <= app.memory_seconds + len(containers)
    assert metered >= 0.95 * app.memory_seconds  # two polls of 2 s at most, of a job of some 20 s


def test_it_is_charged_for_what_was_metered(buyer: Person, job: dict[str, Any]) -> None:
    settle(clock.now_ms())

    receipt = buyer.rest.get(f"/jobs/{job['job_id']}/receipt")
    statement = buyer.rest.get(f"/users/{buyer.user_id}/statement")["lines"]
    posted = -sum(parse_credits(line["amount"]) for line in statement if line["job_id"] == job["job_id"])
    assert receipt["final"] is True
    assert parse_credits(receipt["charge"]) == posted > 0
    assert posted == sum(parse_credits(line["amount"]) for line in receipt["containers"])
    with database.transaction() as cursor:
        assert invariants.check(cursor) + invariants.check_seals(cursor) == []


def test_what_is_metered_is_what_the_resource_manager_logged(
    stack: settings.Settings, job: dict[str, Any]
) -> None:
    """Each container's start and stop stand in the ResourceManager's log, to the millisecond.

    One that was handed back unused is in the totals that narrow the others' ends down, whether a poll saw it
    or not. So what ran is charged at least, and all that was given at most.
    """
    lives = yarn_log.lives(stack, job["application_id"])
    rows = _rows("SELECT * FROM container_usage WHERE job_id = %s", job["job_id"])
    assert {one.container_id for one in rows} <= set(lives), "nothing is charged that YARN did not give"
    sizes = {one.container_id: one.memory_mib for one in rows}
    executor = next(one.memory_mib for one in rows if one.role == "executor")
    given = {name: sizes.get(name, executor) * life.length_ms for name, life in lives.items()}
    metered = {one.container_id: one.memory_mib * (one.end_ms - one.start_ms) for one in rows}
    ran = [name for name, life in lives.items() if life.ran]
    least = sum(metered[name] for name in ran) / sum(given[name] for name in ran) - 1
    most = sum(metered.values()) / sum(given.values()) - 1
    print(f"metered against logged: {least:+.2%} of what ran, {most:+.2%} of all that was given (goal 1 %)")
    # A machine under load is polled late; the ResourceManager's own total bounds it from above.
    assert least >= -0.03
    assert most <= 0.01


def test_the_event_log_tells_of_the_executors_that_ran(stack: settings.Settings, job: dict[str, Any]) -> None:
    """It is where the meter looks for those that no poll saw."""
    ran = _running(stack, job["job_id"])
    metered = _rows("SELECT * FROM container_usage WHERE job_id = %s AND role = 'executor'", job["job_id"])
    rows = [one for one in metered if one.container_id in ran]
    found = store.find(job["job_id"])
    assert found is not None
    folders = (paths.events(found.folder), paths.EVENT_LOGS)
    told = event_log.executor_lives(hdfs(), folders, job["application_id"], 1)
    assert {one.container_id: one.node_id for one in told} == {one.container_id: one.node_id for one in rows}
    for one in told:
        assert job["start_time"] < one.added_ms < job["end_time"]


def test_what_is_used_after_the_resource_manager_says_finished_is_counted(
    stack: settings.Settings, buyer: Person, machines: list[dict[str, Any]]
) -> None:
    """It says so when the driver signs off; its container lives on until its machine reports the end.

    Here that machine is held for some seconds meanwhile.
    """
    buyer.put("signs_off/main.py", _SLEEPS)
    job_id = buyer.submit("signs_off", core_num=2)
    until(lambda: _all_run(stack, job_id), "its containers")
    pool = nodemanager("pool")
    os.kill(pool, signal.SIGSTOP)
    try:
        signed_off = until(lambda: app if (app := _app(job_id)).ended else None, "the driver to sign off", 60)
        assert signed_off.running_containers > 0
        seen_ms = clock.now_ms()
        until(lambda: _polled_since(seen_ms + 4000), "polls of that", 30)
        assert not _rows("SELECT 1 FROM application_usage WHERE final AND job_id = %s", job_id)
    finally:
        os.kill(pool, signal.SIGCONT)
    usage = until(
        lambda: _rows("SELECT * FROM application_usage WHERE final AND job_id = %s", job_id), "it", 30
    )
    app = _app(job_id)
    print(f"{signed_off.memory_seconds} MiB s when FINISHED, {app.memory_seconds} at the end")
    driver = _rows("SELECT * FROM container_usage WHERE role = 'driver' AND job_id = %s", job_id)[0]
    assert app.memory_seconds >= signed_off.memory_seconds + 3 * driver.memory_mib
    assert usage[0].memory_mib_seconds == app.memory_seconds
    rows = _rows("SELECT * FROM container_usage WHERE job_id = %s", job_id)
    metered = sum(one.memory_mib * (one.end_ms - one.start_ms) for one in rows) / 1000
    # An executor that no total can tell from the held driver ends when a poll saw it last: every two seconds.
    unseen = sum(one.memory_mib for one in rows if one.role == "executor") * 2
    assert 0.99 * app.memory_seconds - unseen <= metered <= app.memory_seconds + len(rows)


def test_a_restart_of_the_resource_manager_changes_no_charge_and_frees_nothing(
    stack: settings.Settings, buyer: Person, job: dict[str, Any], silenced: Agent, remembers_one: None
) -> None:
    """Killed while a job runs: its past is not lost, and what was final before stays as it was.

    What it forgets then is kept too: applications beyond its limit, and nodes that were LOST.
    """
    before = _usage(job["job_id"])
    lost = silenced.wait("lost", 90)
    node_id = _rows(
        "SELECT ip_address || ':' || service_port AS id FROM machine WHERE machine_id = %s",
        lost["machine_id"],
    )[0].id
    assert resource_manager().node(node_id).state == "LOST"  # type: ignore[union-attr]
    online = _presence(lost["machine_id"])
    assert online
    assert max(one.to_ms for one in online) < clock.now_ms() - 30_000
    buyer.put("sleeps_long/main.py", _SLEEPS.replace("range(4), 4", "range(2), 2").replace("(3)", "(25)"))
    job_id = buyer.submit("sleeps_long", core_num=2)
    until(lambda: _all_run(stack, job_id), "its containers")
    seen_ms = clock.now_ms()
    os.kill(int(Supervisor(stack).states()["resourcemanager"]["pid"]), signal.SIGKILL)
    until(_answers, "the ResourceManager", 60)
    assert resource_manager().app(job["application_id"]) is None, "beyond its limit"
    assert resource_manager().node(node_id) is None, "a restart forgets a LOST node"

    found = buyer.ended(job_id)
    assert found["status"] == "succeeded", found["reason"]
    until(
        lambda: _rows("SELECT 1 FROM application_usage WHERE final AND job_id = %s", job_id), "the totals", 90
    )

    ends = {one: life.end_ms for one, life in yarn_log.lives(stack, found["application_id"]).items()}
    rows = _rows("SELECT * FROM container_usage WHERE job_id = %s", job_id)
    assert {one.end_kind for one in rows} == {"finished"}, "nothing counts as preempted or lost"
    for one in rows:
        assert one.start_ms < seen_ms
        assert one.end_ms <= ends[one.container_id] + 50
    truth = sum(one.memory_mib * (ends[one.container_id] - one.start_ms) for one in rows)
    metered = sum(one.memory_mib * (one.end_ms - one.start_ms) for one in rows)
    print(
        f"over a restart: metered {metered / 1000:.1f} MiB s of {truth / 1000:.1f}:"
        f" {metered / truth - 1:+.2%}"
    )
    # The totals begin anew, so an executor ends when a poll saw it last: every two seconds.
    assert 0.9 <= metered / truth <= 1.001
    assert _usage(job["job_id"]) == before
    assert buyer.job(job["job_id"])["status"] == "succeeded"
    assert buyer.rest.get(f"/jobs/{job['job_id']}/receipt")["final"] is True
    assert _presence(lost["machine_id"]) == online
    assert silenced.record()["availability"] == "lost"


def _answers() -> bool:
    try:
        return bool(resource_manager().info())
    except ClusterUnavailable:
        return False


def _running_nodes() -> set[str]:
    return {node.node_id for node in resource_manager().nodes() if node.state == "RUNNING"}


def _running(stack: settings.Settings, job_id: str) -> dict[str, str]:
    """Return the roles of the metered containers that a machine started, by their ids."""
    rows = _rows("SELECT * FROM container_usage WHERE job_id = %s", job_id)
    ran = yarn_log.ran(stack, rows[0].application_id) if rows else set()
    return {one.container_id: one.role for one in rows if one.container_id in ran}


def _all_run(stack: settings.Settings, job_id: str) -> bool:
    """Tell whether a job's driver and its two executors run, and the meter has seen them."""
    return sorted(_running(stack, job_id).values()) == ["driver", "executor", "executor"]


def _app(job_id: str) -> App:
    return resource_manager().apps(tags=[job_id])[0]


def _polled_since(at_ms: int) -> bool:
    return bool(_rows("SELECT at_ms FROM meter_mark")[0].at_ms >= at_ms)


def _presence(machine_id: str) -> list[Any]:
    return _rows("SELECT * FROM machine_presence WHERE machine_id = %s ORDER BY from_ms", machine_id)


def _usage(job_id: str) -> list[Any]:
    return _rows("SELECT * FROM container_usage WHERE job_id = %s ORDER BY container_id", job_id) + _rows(
        "SELECT vcore_seconds, memory_mib_seconds, final_ms FROM application_usage WHERE job_id = %s", job_id
    )
