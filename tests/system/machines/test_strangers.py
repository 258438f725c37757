"""Work that is no job's, given to the real YARN: it ends within two polls; honest jobs go on."""

from __future__ import annotations

import time
from typing import Any

import pytest
from people import Person, until

from market.cluster.clients import resource_manager
from market.cluster.resourcemanager import TERMINAL
from market.hadoop.site import POOL_LABEL
from market.kit import alerts, audit, database, settings
from market.kit.paging import Page

pytestmark = pytest.mark.cluster

_TWO_POLLS_S = 2 * 2.0 + 4.0  # a poll takes time as well, and so does YARN to end something


@pytest.fixture(scope="module", autouse=True)
def honest(buyer: Person, machines: list[dict[str, Any]]) -> list[str]:
    """Jobs of a member that are being submitted and run all the while."""
    buyer.put("honest/main.py", "import time\ntime.sleep(20)\nprint('done')\n")
    return [buyer.submit("honest") for _ in range(3)]


def smuggle(name: str, queue: str, tags: str = "", label: str = POOL_LABEL) -> str:
    """Give YARN an application through its REST interface, as a program could; return its id."""
    yarn = resource_manager()
    application_id: str = yarn._send("POST", "/apps/new-application").json()["application-id"]
    body = {
        "application-id": application_id,
        "application-name": name,
        "application-type": "MAPREDUCE",
        "queue": queue,
        "application-tags": [tag for tag in tags.split(",") if tag],
        "max-app-attempts": 1,
        "am-container-spec": {"commands": {"command": "sleep 600"}},
        "resource": {"memory": 512, "vCores": 1},
        "app-node-label-expression": label,
    }
    answer = yarn._send("POST", "/apps", json={key: value for key, value in body.items() if value != []})
    assert answer.status_code == 202, answer.text
    return application_id


@pytest.mark.parametrize(
    ("name", "queue", "label"),
    [("word count", "cpu", POOL_LABEL), ("canary for m1", "cpu", "cpu"), ("waits for ever", "gpu", "gpu")],
)
def test_an_application_of_no_job_ends_within_two_polls(
    stack: settings.Settings, machines: list[dict[str, Any]], name: str, queue: str, label: str
) -> None:
    application_id = smuggle(name, queue, label=label)
    began = time.monotonic()
    until(lambda: state(application_id) in TERMINAL, f"the end of {application_id}", 30)
    took = time.monotonic() - began
    print(f"{name} in {queue}: ended after {took:.1f} s")
    assert state(application_id) == "KILLED"
    assert took < _TWO_POLLS_S
    assert [one.subject for one in alerts.list_alerts(Page(limit=200)).rows].count(application_id) == 1
    assert application_id in audited()
    with database.transaction() as cursor:
        cursor.execute("SELECT FROM container_usage WHERE application_id = %s", [application_id])
        assert cursor.rowcount == 0


def test_the_tag_of_somebody_s_running_job_lets_nothing_run(
    stack: settings.Settings, buyer: Person, honest: list[str]
) -> None:
    until(lambda: buyer.job(honest[0])["application_id"], "the job's application", 120)
    application_id = smuggle("a twin", "cpu", tags=honest[0])
    until(lambda: state(application_id) == "KILLED", f"the end of {application_id}", _TWO_POLLS_S + 5)


def test_no_honest_job_was_taken_for_a_stranger(buyer: Person, honest: list[str]) -> None:
    ended = [buyer.ended(job_id) for job_id in honest]
    assert [job["status"] for job in ended] == ["succeeded"] * len(honest)
    assert not {job["application_id"] for job in ended} & set(audited())


def state(application_id: str) -> str:
    app = resource_manager().app(application_id)
    return app.state if app else ""


def audited() -> list[str]:
    found = audit.lines(Page(limit=200), audit.UNKNOWN_APPLICATION, 0, 2**53)
    return [line["subject"] for line in found.rows]
