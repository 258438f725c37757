"""An earlier job on the pages: the same job again, or the form with all that it had."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
import requests
from airflow_accounts import Person
from airflow_server import Airflow

pytestmark = pytest.mark.database

Register = Callable[..., Person]
ASKED: dict[str, Any] = {
    "root_path": "sums",
    "core_num": 1,
    "machine_type": "cpu",
    "max_duration": 540,
    "max_credits": "0.5",
    "job_name": "sums <again>",
    "job_note": "two\nlines",
    "app_params": ["--out", "{output}", ""],
    "env": {"LEVEL": "debug"},
}


@pytest.fixture
def person(register: Register) -> Person:
    person = register("again")
    assert person.ask("PUT", "/files/sums/main.py", data=b"print(1)").status_code == 201
    return person


@pytest.fixture
def job(person: Person) -> dict[str, Any]:
    made = person.ask("POST", "/jobs", json=ASKED)
    assert made.status_code == 201, made.text
    return dict(person.ask("GET", f"/jobs/{made.json()['job_id']}").json())


def browser_of(person: Person) -> requests.Session:
    browser = requests.Session()
    browser.cookies.set("_token", person.token)
    return browser


def test_the_same_job_is_submitted_by_one_click(
    api_server: Airflow, person: Person, job: dict[str, Any]
) -> None:
    place = f"{api_server.url}/pluginsv2/market/jobs/"
    with browser_of(person) as browser:
        token = re.search(r'name="csrf_token" value="([^"]+)"', browser.get(f"{place}new", timeout=30).text)
        assert token
        sent = {"csrf_token": token[1]}
        done = browser.post(f"{place}{job['job_id']}/again", data=sent, allow_redirects=False, timeout=30)
        assert done.status_code == 303, done.text
    again = person.ask("GET", f"/jobs/{done.headers['location'].rpartition('/')[2]}").json()
    assert again["job_id"] != job["job_id"]
    assert {name: again[name] for name in ASKED} == {name: job[name] for name in ASKED}


def test_the_form_has_what_the_job_had_and_names_what_it_cannot_show(
    api_server: Airflow, person: Person, job: dict[str, Any]
) -> None:
    place = f"{api_server.url}/pluginsv2/market/jobs/new?like={job['job_id']}"
    with browser_of(person) as browser:
        page = unescape(browser.get(place, timeout=30).text)
    for words in ('value="sums <again>"', ">two\nlines</textarea>", 'value="9"', ">LEVEL=debug</textarea>"):
        assert words in page
    assert "This form cannot show all of: app params." in page


def test_another_s_job_is_nobody_s_to_run(
    api_server: Airflow, register: Register, job: dict[str, Any]
) -> None:
    with browser_of(register("other")) as browser:
        answer = browser.get(f"{api_server.url}/pluginsv2/market/jobs/new?like={job['job_id']}", timeout=30)
    assert answer.status_code == 404
