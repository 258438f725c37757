"""The pages of administrators at a real api-server: who sees them, what stands there, what the forms do."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterator

import pytest
import requests
from airflow_accounts import Person, sql
from airflow_server import Airflow

pytestmark = pytest.mark.database

Register = Callable[..., Person]
PAGES = ("", "jobs/?status=all", "machines/", "treasury/", "audit/?kind=all")


@pytest.fixture
def person(api_server: Airflow, register: Register) -> Iterator[Person]:
    """Return a member who has a job, and lends a machine."""
    made = register("seen")
    assert made.ask("PUT", "/files/sums/main.py", data=b"print(1)").status_code == 201
    asked = {"root_path": "sums", "core_num": 1, "machine_type": "cpu", "job_name": "sums <again>"}
    assert made.ask("POST", "/jobs", json=asked).status_code == 201
    machine_id = secrets.token_hex(16)
    with sql(api_server) as cursor:
        cursor.execute(
            "INSERT INTO machine (machine_id, user_id, machine_type, display_name, ip_address, service_port,"
            " core_count, memory_mib, time_period_s, state, created_ms, lease_end_ms)"
            " VALUES (%s, %s, 'cpu', 'attic', '10.9.8.7', 45123, 3, 4096, 3600, 'active', 1, 2)",
            [machine_id, made.user_id],
        )
    yield made
    with sql(api_server) as cursor:
        cursor.execute("DELETE FROM event WHERE machine_id = %s", [machine_id])
        cursor.execute("DELETE FROM machine WHERE machine_id = %s", [machine_id])


class Browser:
    """Somebody's pages, and the forms on them."""

    def __init__(self, server: Airflow, token: str = "") -> None:
        self._base = f"{server.url}/pluginsv2/market/"
        self._session = requests.Session()
        if token:
            self._session.cookies.set("_token", token)

    def open(self, place: str) -> requests.Response:
        return self._session.get(self._base + place, allow_redirects=False, timeout=30)

    def send(self, place: str, **form: str) -> requests.Response:
        token = re.search(r'name="csrf_token" value="([^"]+)"', self.open("jobs/new").text)
        assert token
        data = {"csrf_token": token[1], **form}
        return self._session.post(self._base + place, data=data, allow_redirects=False, timeout=30)


def test_nobody_else_sees_them(api_server: Airflow, person: Person, admin: Person) -> None:
    for place in (*PAGES, f"users/{admin.user_id}"):
        assert Browser(api_server).open(f"administration/{place}").status_code == 401, place
        assert Browser(api_server, person.token).open(f"administration/{place}").status_code == 403, place
    sent = Browser(api_server, person.token).send(
        f"administration/users/{person.user_id}/grant", amount="9", reason="x"
    )
    assert sent.status_code == 403
    assert "Administration" not in Browser(api_server, person.token).open("").text


def test_an_administrator_sees_people_jobs_machines_and_the_treasury(
    api_server: Airflow, person: Person, admin: Person
) -> None:
    browser = Browser(api_server, admin.token)
    shown = {place: browser.open(f"administration/{place}") for place in PAGES}
    assert {answer.status_code for answer in shown.values()} == {200}
    assert f'href="/pluginsv2/market/administration/users/{person.user_id}"' in shown[""].text
    jobs = browser.open(f"administration/jobs/?owner={person.username}&q=sums").text
    for words in (person.username, "sums &lt;again&gt;", "1 job"):
        assert words in jobs
    machines = browser.open(f"administration/machines/?owner={person.username}").text
    for words in ("attic", "10.9.8.7:45123", "1 machine"):
        assert words in machines
    for words in ("New people", "signup", "the market"):
        assert words in shown["treasury/"].text
    found = browser.open(f"administration/?q={person.username}").text
    assert person.username in found
    assert "Nobody here" in browser.open("administration/?q=nobody-is-called-so").text
    assert "Administration" in browser.open("").text
    operations = browser.open("operations/").text
    for words in ("/market/administration/",):
        assert words in operations


def test_what_he_does_asks_for_a_reason_and_stands_in_the_audit(
    api_server: Airflow, person: Person, admin: Person
) -> None:
    browser, place = Browser(api_server, admin.token), f"administration/users/{person.user_id}"
    assert browser.send(f"{place}/grant", amount="2.5").status_code == 422
    assert browser.send(f"{place}/grant", amount="2.5", reason="for the review").status_code == 303
    assert browser.send(f"{place}/suspend", reason=" ").status_code == 422
    assert browser.send(f"{place}/suspend", reason="spam", jobs="cancel").status_code == 303
    page = browser.open(place).text
    for words in ("17.50", "for the review", "spam", "Suspended", "Reopen"):
        assert words in page
    assert browser.send(f"{place}/reopen", reason="a mistake").status_code == 303
    lines = browser.open(f"administration/audit/?actor=admin&subject={person.user_id}").text
    for words in ("granted 2.5 credits: for the review", "suspended the account", "reopened the account"):
        assert words in lines


def test_a_job_is_stopped_for_a_reason_that_its_owner_reads(
    api_server: Airflow, person: Person, admin: Person
) -> None:
    [job] = person.ask("GET", "/jobs").json()["jobs"]
    browser = Browser(api_server, admin.token)
    offered = browser.open(f"jobs/{job['job_id']}").text
    assert f"/administration/jobs/{job['job_id']}/cancel" in offered
    assert "Run again" not in offered, "that would spend for another"
    assert browser.send(f"administration/jobs/{job['job_id']}/cancel").status_code == 422
    sent = browser.send(f"administration/jobs/{job['job_id']}/cancel", reason="mines coins")
    assert sent.status_code == 303
    own = Browser(api_server, person.token).open(f"jobs/{job['job_id']}").text
    assert "cancelled by the administrator admin: mines coins" in own
    assert person.ask("GET", f"/jobs/{job['job_id']}").json()["reason"].endswith("mines coins")
    assert "/refund" in browser.open(f"jobs/{job['job_id']}").text
    early = browser.send(f"administration/jobs/{job['job_id']}/refund", amount="1", reason="a slow disk")
    assert early.status_code in (409, 422), "nothing was paid"


def test_operations_tell_how_services_are_and_acknowledge_alerts(
    api_server: Airflow, person: Person, admin: Person
) -> None:
    with sql(api_server) as cursor:
        cursor.execute(
            "INSERT INTO alert (at_ms, first_ms, kind, subject, detail)"
            " VALUES (2, 1, 'poor_machine', 'attic', 'slow') RETURNING alert_id"
        )
        alert_id = cursor.fetchone()[0]
        cursor.execute("INSERT INTO ledger_check VALUES (1, 1234, 0)")
        cursor.execute(
            "INSERT INTO ledger_look (whole, began_ms, after_interval, until_interval, reached, wrong,"
            " ended_ms) VALUES (false, 2, 5, 7, 7, 3, 3), (true, 4, 0, 12, 8, 0, NULL)"
        )
    browser = Browser(api_server, admin.token)
    page = browser.open("operations/").text
    for words in ("PostgreSQL", ">Healthy</span>", ">Not answering</span>", "attic", "1 234 sealed rows"):
        assert words in page
    assert "intervals 6 to 7: 3 rows did not fit." in page
    assert "A look at everything goes on" in page
    assert "interval 8 of 12 is compared." in page
    place = f"operations/alerts/{alert_id}/acknowledge"
    assert Browser(api_server, person.token).send(place).status_code == 403
    assert browser.send(place).status_code == 303
    assert "Acknowledged: poor machine, attic." in browser.open("operations/").text
    assert "Acknowledge poor machine" not in browser.open("operations/").text
    assert browser.send(f"operations/alerts/{'9' * 30}/acknowledge").status_code == 404


def test_a_machine_is_removed_for_a_reason(api_server: Airflow, person: Person, admin: Person) -> None:
    [machine] = person.ask("GET", "/machines").json()["machines"]
    browser, place = (
        Browser(api_server, admin.token),
        f"administration/machines/{machine['machine_id']}/remove",
    )
    assert browser.send(place).status_code == 422
    assert browser.send(place, reason="too slow").status_code == 303
    after = person.ask("GET", f"/machines/{machine['machine_id']}").json()
    assert (after["availability"], after["reason"]) == ("draining", "removed by an administrator: too slow")
