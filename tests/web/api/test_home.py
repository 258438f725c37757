"""Routes that put a home in order, and the page's examples, at a real api-server."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
import requests
from airflow_accounts import Person
from airflow_server import Airflow

pytestmark = pytest.mark.database

Register = Callable[..., Person]


@pytest.fixture
def person(register: Register) -> Person:
    person = register("tidies")
    assert person.ask("PUT", "/files/main.py", data=b"print(1)").status_code == 201
    return person


def test_a_file_moves_and_a_folder_is_made(person: Person) -> None:
    moved = person.ask("POST", "/files/main.py", json={"to": "sums/main.py"})
    assert (moved.status_code, moved.json()["path"], moved.json()["size"]) == (200, "sums/main.py", 8)
    assert person.ask("GET", "/files/main.py").status_code == 404
    made = person.ask("POST", "/folders", json={"path": "empty"})
    assert (made.status_code, made.json()["is_folder"]) == (201, True)
    assert person.ask("POST", "/folders", json={"path": "empty"}).status_code == 409
    assert person.ask("POST", "/files/nothing", json={"to": "x"}).status_code == 404
    assert person.ask("POST", "/files/sums", json={}).status_code == 422


def test_the_room_is_told(person: Person) -> None:
    room = person.ask("GET", "/home").json()
    assert set(room) == {"used", "quota", "names", "names_quota"}
    assert room["used"] >= 8


def test_nobody_moves_another_s_files(person: Person, register: Register) -> None:
    other = register("other")
    refused = other.ask("POST", "/files/main.py", json={"to": f"../{other.username}/mine.py"})
    assert refused.status_code == 422
    assert other.ask("POST", "/files/main.py", json={"to": "mine.py"}).status_code == 404
    assert person.ask("GET", "/files/main.py").content == b"print(1)"


def test_an_example_is_copied_and_opens_the_form(api_server: Airflow, person: Person) -> None:
    place = f"{api_server.url}/pluginsv2/market/files/"
    with requests.Session() as browser:
        browser.cookies.set("_token", person.token)
        page = browser.get(place, timeout=30).text
        token = re.search(r'name="csrf_token" value="([^"]+)"', page)
        assert token
        for name, status in (("digits", 200), ("../ops", 404), ("nothing", 404)):
            done = browser.post(f"{place}examples/{name}", data={"csrf_token": token[1]}, timeout=30)
            assert done.status_code == status
    assert b"pyspark" in person.ask("GET", "/files/examples/digits/main.py").content
