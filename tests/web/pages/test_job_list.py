"""Lists of jobs: what an address asks for, and the pages and routes at a real api-server."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable

import pytest
import requests
from airflow_accounts import Person, sql
from airflow_server import Airflow

from market.web.pages import job_list

Register = Callable[..., Person]
DAY = 86_400_000
NAMES = ("alpha", "beta", "gamma")


def test_what_an_address_asks_for_is_kept_in_links() -> None:
    query = {"status": "failed", "type": "cpu", "q": " dig ", "since": "2026-11-29", "until": "2026-11-29"}
    found = job_list.asked(query | {"order_by": "hold", "hidden": "1"})
    wanted = found.wanted
    assert (wanted.statuses, wanted.machine_type, wanted.search) == (("failed", "lost"), "cpu", "dig")
    assert wanted.before_ms is not None
    assert wanted.since_ms == 1_795_910_400_000
    assert wanted.before_ms - wanted.since_ms == DAY
    assert job_list.asked(found.kept) == found
    assert (found.page(50, 100).order_by, found.page(50, 100).descending) == ("hold", False)


@pytest.mark.parametrize(
    "query", [{"status": "x"}, {"since": "30.11.2026"}, {"until": "9" * 400}, {"order_by": "spec; --"}, {}]
)
def test_what_is_not_known_counts_as_not_said(query: dict[str, str]) -> None:
    found = job_list.asked(query)
    assert not found.narrow
    assert found.kept == {"status": "all"}


def test_the_last_days_of_the_calendar_are_days() -> None:
    for day in ("0001-01-01", "9999-12-31"):
        assert job_list.asked({"since": day, "until": day}).wanted.before_ms is not None


def test_a_second_click_on_a_column_turns_its_order() -> None:
    newest = job_list.asked({})
    assert (newest.turned("added_time"), newest.turned("job_name")) == ("added_time", "job_name")
    assert newest.turned("hold") == "-hold"
    assert newest.direction("added_time") == "descending"
    assert job_list.asked({"order_by": "job_name"}).turned("job_name") == "-job_name"


@pytest.fixture
def person(api_server: Airflow, register: Register) -> Person:
    """Return a member with three jobs: one open, one succeeded, one failed a day earlier."""
    made = register("lists")
    assert made.ask("PUT", "/files/sums/main.py", data=b"print(1)").status_code == 201
    for name in NAMES:
        asked = {
            "root_path": "sums",
            "core_num": 1,
            "machine_type": "cpu",
            "job_name": name,
            "max_credits": "1",
        }
        assert made.ask("POST", "/jobs", json=asked).status_code == 201
    with sql(api_server) as cursor:
        for name, status, earlier in (("beta", "succeeded", 0), ("gamma", "failed", DAY)):
            cursor.execute(
                "UPDATE job SET status = %s, ended_ms = added_ms + 1, added_ms = added_ms - %s"
                " WHERE user_id = %s AND job_name = %s",
                [status, earlier, made.user_id, name],
            )
    return made


def browser_of(person: Person) -> requests.Session:
    browser = requests.Session()
    browser.cookies.set("_token", person.token)
    return browser


def names(answer: requests.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [job["job_name"] for job in answer.json()["jobs"]]


@pytest.mark.database
def test_the_route_lists_what_its_query_asks_for(person: Person) -> None:
    added = {job["job_name"]: job["added_time"] for job in person.ask("GET", "/jobs").json()["jobs"]}
    for query, expected in (
        ("order_by=job_name", list(NAMES)),
        ("status=open", ["alpha"]),
        ("status=ended&order_by=-job_name", ["gamma", "beta"]),
        ("status=failed", ["gamma"]),
        ("q=ETA", ["beta"]),
        ("q=sums/main&order_by=job_name", list(NAMES)),
        ("machine_type=gpu", []),
        ("machine_type=cpu&status=succeeded", ["beta"]),
        (f"before={added['beta'] - DAY // 2}", ["gamma"]),
        (f"since={added['alpha']}&order_by=job_name", ["alpha", "beta"]),
        ("hidden=true", []),
    ):
        assert names(person.ask("GET", f"/jobs?{query}")) == expected, query
    for query in ("status=none", "since=-1", "hidden=perhaps", f"q={'x' * 101}"):
        refused = person.ask("GET", f"/jobs?{query}")
        assert refused.status_code == 422, query
        assert list(refused.json()["errors"]) == [query.partition("=")[0]]


@pytest.mark.database
def test_a_hidden_job_comes_back(person: Person, register: Register) -> None:
    [beta] = person.ask("GET", "/jobs?q=beta").json()["jobs"]
    assert beta["hidden"] is False
    assert person.ask("DELETE", f"/jobs/{beta['job_id']}").status_code == 204
    assert names(person.ask("GET", "/jobs?hidden=true")) == ["beta"]
    assert person.ask("GET", f"/jobs/{beta['job_id']}").json()["hidden"] is True
    assert register("other").ask("POST", f"/jobs/{beta['job_id']}/unhide").status_code == 404
    for _ in range(2):
        assert person.ask("POST", f"/jobs/{beta['job_id']}/unhide").status_code == 204
    assert names(person.ask("GET", "/jobs?hidden=true")) == []
    assert "beta" in names(person.ask("GET", "/jobs"))


@pytest.mark.database
def test_the_page_sorts_narrows_and_does_one_thing_to_many(api_server: Airflow, person: Person) -> None:
    place = f"{api_server.url}/pluginsv2/market/jobs/"
    jobs = {job["job_name"]: job["job_id"] for job in person.ask("GET", "/jobs").json()["jobs"]}
    with browser_of(person) as browser:
        page = browser.get(f"{place}?order_by=job_name&since=2020-01-01", timeout=30).text
        shown = re.findall(r'<a class="main"[^>]*>([a-z]+)</a>', page)
        assert shown == list(NAMES)
        assert 'aria-sort="ascending"' in page
        assert "order_by=-job_name" in page
        token = re.search(r'name="csrf_token" value="([^"]+)"', page)
        assert token

        def send(do: str, *chosen: str) -> str:
            form = {"csrf_token": token[1], "do": do, "job": [jobs[name] for name in chosen], "status": "all"}
            done = browser.post(f"{place}selected", data=form, timeout=30)
            assert done.status_code == 200, done.text
            assert "/market/jobs/?status=all" in done.url
            return done.text

        assert "2 jobs are off the list. 1 could not be: The job has not ended." in send("hide", *NAMES)
        assert names(person.ask("GET", "/jobs")) == ["alpha"]
        hidden = browser.get(f"{place}?hidden=1", timeout=30).text
        assert "Back on the list" in hidden
        assert ">beta</a>" in hidden
        assert "2 jobs are on the list again." in send("unhide", "beta", "gamma")
        assert "1 job is being cancelled" in send("cancel", "alpha")
        assert person.ask("GET", f"/jobs/{jobs['alpha']}").json()["status"] in ("cancelling", "cancelled")
        assert "No job is chosen" in send("hide")
        wrong = browser.post(f"{place}selected", data={"csrf_token": token[1], "do": "delete"}, timeout=30)
        assert wrong.status_code == 422


@pytest.mark.database
def test_the_list_as_csv_has_what_the_filters_leave(api_server: Airflow, person: Person) -> None:
    with browser_of(person) as browser:
        place = f"{api_server.url}/pluginsv2/market/jobs/list.csv?status=ended&order_by=job_name"
        answer = browser.get(place, timeout=30)
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.headers["content-disposition"] == "attachment; filename=jobs.csv"
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["job_name"] for row in rows] == ["beta", "gamma"]
    assert rows[0]["root_path"] == "sums"
