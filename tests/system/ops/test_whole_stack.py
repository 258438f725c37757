"""The stack as a whole: its status, its end with a job running, its return after the worst end.

This file is the last of the group: it takes the machines of the others with it.
"""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
import whole_stack
from commands import market
from people import Person, until

from distributedmarket.agent.cores import _groups
from distributedmarket.client import MarketClient
from market.credits.settlement.steps import settle
from market.kit import clock, database, settings
from market.ops.run import leftovers
from market.ops.run.services import get_json

pytestmark = [pytest.mark.cluster, pytest.mark.alone]

_DAEMONS = ("NameNode", "DataNode", "ResourceManager", "JobHistoryServer", "NodeManager")
FOREVER = """
    import time
    from pyspark.sql import SparkSession
    spark = SparkSession.builder.getOrCreate()
    while True:
        spark.range(1000).count()
        time.sleep(1)
"""


def test_status_tells_of_each_service(stack: settings.Settings) -> None:
    found = json.loads(market("status", "--json").stdout)
    assert set(found) == {"state_dir", "url", "security", "services", "admin", "release"}
    assert found["url"] == stack.url("api")
    assert found["security"] == stack.security.mode
    assert all(set(one) == {"name", "address", "healthy", "detail"} for one in found["services"])
    assert {"postgres", "namenode", "resourcemanager", "scheduler", "triggerer"} <= {
        one["name"] for one in found["services"]
    }
    file = Path(found["admin"]["password_file"])
    assert file.read_text().strip() == stack.secret("admin_password")


def test_secrets_are_the_owner_s_alone(stack: settings.Settings) -> None:
    files = list(stack.paths.secrets.iterdir())
    assert len(files) >= 8
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}


def test_hadoop_s_servers_are_small(stack: settings.Settings, machines: list[dict[str, Any]]) -> None:
    sizes: dict[str, list[int]] = {}
    for pid in leftovers.find(stack.paths.state):
        words = psutil.Process(pid).cmdline()
        name = words[-1].rsplit(".", 1)[-1] if words and words[0].endswith("java") else ""
        name = name.removeprefix("Market")  # the market's own class of one
        if name in _DAEMONS:
            # Of a page that several share, each counts its part: what they take together is the sum.
            sizes.setdefault(name, []).append(psutil.Process(pid).memory_full_info().pss)
    assert set(sizes) == set(_DAEMONS)
    six = sum(sum(sorted(found)[:2]) for found in sizes.values())  # of the machines two, as in the demo
    print({name: [size >> 20 for size in found] for name, found in sizes.items()}, six >> 20)
    # At the end of a whole run with encryption they held 1.28e9, the DataNode 356 MiB of it, and 152 soon
    # after a start: why it grows is not known, nor whether encryption does it.
    assert six < (1.4e9 if stack.wire_encryption else 1.1e9)


def test_nothing_listens_beyond_this_host(stack: settings.Settings, machines: list[dict[str, Any]]) -> None:
    heard = [
        (psutil.Process(pid).name(), one.laddr)
        for pid in leftovers.find(stack.paths.state)
        for one in psutil.Process(pid).net_connections("tcp")
        if one.status == psutil.CONN_LISTEN
    ]
    assert len(heard) > 15
    assert [found for found in heard if not found[1].ip.removeprefix("::ffff:").startswith("127.")] == []


def test_the_pages_of_hdfs_and_yarn_work(stack: settings.Settings) -> None:
    for port, page in (
        ("namenode_http", "/dfshealth.html"),
        ("datanode_http", "/datanode.html"),
        ("resourcemanager_http", "/cluster/apps"),
        ("jobhistory_http", "/jobhistory"),
        ("spark_history_http", "/"),
    ):
        answer = whole_stack.get(stack, stack.url(port) + page)
        assert answer.status_code == 200, (page, answer.status_code)
        assert "<html" in answer.text.lower()


def _nobody_listens(stack: settings.Settings) -> bool:
    ports = json.loads((stack.paths.run / "ports.json").read_text())
    for port in ports.values():
        with socket.socket() as probe:
            if probe.connect_ex((stack.bind, port)) == 0:
                return False
    return True


@pytest.fixture
def running(
    stack: settings.Settings,
    buyer: Person,
    machines: list[dict[str, Any]],
    program: Callable[[str], str],
) -> str:
    """A job that runs for ever, on machines that are lent anew where the last test took them away."""
    buyer.put("forever/main.py", program(FOREVER))
    job_id = buyer.submit("forever", max_duration=3600)
    buyer.in_status(job_id, "running", 180)
    return job_id


def again(stack: settings.Settings, person: Person) -> Person:
    """The same person after a restart: the token is still good, the address the same."""
    return Person(
        person.username,
        person.user_id,
        person.password,
        MarketClient(stack.url("api")).login(person.username, person.password),
    )


def test_after_down_and_up_a_job_that_ran_comes_to_a_true_end(
    stack: settings.Settings, buyer: Person, running: str
) -> None:
    market("down", "--force")
    assert leftovers.find(stack.paths.state) == []
    assert _nobody_listens(stack)
    lent = (stack.paths.state / "machines").iterdir()
    assert not [group.folder for machine in lent for group in _groups(machine) if group.folder.exists()]
    market("up")
    job = again(stack, buyer).ended(running, 240)
    assert job["status"] in ("failed", "lost")
    assert job["reason"]
    settle(clock.now_ms())
    with database.transaction() as cursor:
        cursor.execute("SELECT * FROM violations(false)")
        assert cursor.fetchall() == []


def test_after_kill_9_of_everything_all_data_is_there(stack: settings.Settings, buyer: Person) -> None:
    person = again(stack, buyer)
    person.put("kept.txt", "kept")
    before = person.rest.get(f"/users/{person.user_id}/credits"), person.rest.get("/jobs")["total"]
    for pid in leftovers.find(stack.paths.state):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    until(lambda: not leftovers.find(stack.paths.state), "the end of everything", 30)
    killed = datetime.now(UTC)
    market("up")
    print(f"up again in {datetime.now(UTC) - killed}")
    # What was killed looks alive for half a minute: "up" is what has come after it.
    parts = get_json(f"{stack.url('api')}/api/v2/monitor/health")
    for name in ("scheduler", "dag_processor", "triggerer"):
        assert datetime.fromisoformat(parts[name][f"latest_{name}_heartbeat"]) > killed, name
    person = again(stack, buyer)
    assert person.rest.text("/files/kept.txt") == "kept"
    after = person.rest.get(f"/users/{person.user_id}/credits"), person.rest.get("/jobs")["total"]
    assert after[1] == before[1]
    assert after[0]["balance"] == before[0]["balance"]
    assert json.loads(market("status", "--json").stdout)["services"]


def test_a_restore_brings_back_what_was_open_then(
    stack: settings.Settings, buyer: Person, tmp_path: Path
) -> None:
    person = again(stack, buyer)
    credits_path = f"/users/{person.user_id}/credits"
    person.put("open/main.py", "print()")
    job_id = person.submit("open", machine_type="gpu")  # which nobody lends
    settle(clock.now_ms())
    before = person.rest.get(credits_path)
    market("backup", "--to", str(tmp_path / "backups"))
    at = datetime.now(UTC)
    until(lambda: datetime.now(UTC) - at > timedelta(seconds=2), "a later second", 10)
    person.rest.post(f"/jobs/{job_id}/cancel")
    person.ended(job_id, 120)
    settle(clock.now_ms())
    market("down", "--force")
    market("restore", "--from", str(tmp_path / "backups"), "--at", at.isoformat(), "--yes")
    market("up")
    person = again(stack, buyer)
    job = person.rest.get(f"/jobs/{job_id}")
    assert job["end_time"] is None, job["status"]
    assert person.rest.get(credits_path)["balance"] == before["balance"]
    # It comes to a true end once more, and nothing of it is charged that was not used.
    person.rest.post(f"/jobs/{job_id}/cancel")
    person.ended(job_id, 240)
    settle(clock.now_ms())
    after = person.rest.get(credits_path)
    assert (after["balance"], after["held"]) == (before["balance"], "0.000000")
    verified = market("ledger", "verify").stdout
    assert "the database was restored to" in verified
