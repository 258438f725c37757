"""What forms of jobs say before and after they are sent, at a real api-server."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape

import pytest
import requests
from airflow_accounts import Person
from airflow_server import Airflow

from market.web.pages import charts

Register = Callable[..., Person]


def test_a_chart_has_an_area_only_where_its_axis_begins_at_zero() -> None:
    for figures, drawn in (((0.0, 2.0), True), ((0.81, 0.83), False)):
        samples = [(at * 60_000, figure) for at, figure in enumerate(figures)]
        chart = charts.steps("x", samples, 600_000, str)
        assert chart is not None
        assert bool(chart.area) == drawn


@pytest.fixture
def person(register: Register) -> Person:
    made = register("forms")
    assert made.ask("PUT", "/files/sums/main.py", data=b"print(1)").status_code == 201
    return made


def browser_of(person: Person) -> requests.Session:
    browser = requests.Session()
    browser.cookies.set("_token", person.token)
    return browser


@pytest.mark.database
def test_the_form_says_what_would_wait_and_what_is_quoted(api_server: Airflow, person: Person) -> None:
    place = f"{api_server.url}/pluginsv2/market/"
    with browser_of(person) as browser:
        page = browser.get(f"{place}jobs/new", timeout=30).text
        assert re.search(r'<option value="gpu"[^>]*>gpu: no machine now, would wait</option>', page)
        size = {"type": "cpu", "cores": "2", "driver_memory": "512", "executor_memory": "512"}
        plain = browser.get(f"{place}quote", params=size, timeout=30).json()
        sweep = {**size, "grid": "alpha = 1, 2, 3", "max_parallel": "2"}
        many = browser.get(f"{place}quote", params=sweep, timeout=30).json()
    assert plain["sizes"] == "Driver 1 core and 1 GiB; 2 executors, 1 core and 1 GiB each"
    assert many["sizes"] == f"{plain['sizes']}; so for 3 points, 2 at once"


@pytest.mark.database
def test_a_job_is_named_after_its_folder_and_a_wrong_extension_keeps_its_page(
    api_server: Airflow, person: Person
) -> None:
    place = f"{api_server.url}/pluginsv2/market/jobs/"
    with browser_of(person) as browser:
        token = re.search(r'name="csrf_token" value="([^"]+)"', browser.get(f"{place}new", timeout=30).text)
        assert token
        csrf = {"csrf_token": token[1]}
        form = {"root_path": "sums", "core_num": "1", "machine_type": "cpu", "minutes": "10", **csrf}
        assert browser.post(f"{place}new", data=form, timeout=30).status_code == 200
        [job] = person.ask("GET", "/jobs").json()["jobs"]
        assert job["job_name"] == "sums"
        listed = browser.get(place, timeout=30).text
        assert "1 is open, with " in listed
        for wrong, words in (("5", "At most, minutes: may not be less"), ("many", "At most, minutes: ")):
            sent = browser.post(f"{place}{job['job_id']}/extend", data={"minutes": wrong, **csrf}, timeout=30)
            assert sent.url.endswith(job["job_id"])
            assert f"Not extended. {words}" in unescape(sent.text)
        home = {"root_path": ".", "core_num": "1", "machine_type": "cpu", "minutes": "10", **csrf}
        refused = browser.post(f"{place}new", data=home, timeout=30)
        assert "in your home folder" in refused.text
