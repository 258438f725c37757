"""The base address and registration, as a browser without scripts meets them, at a real api-server."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable

import pytest
import requests
from airflow_accounts import Person, sql
from airflow_server import Airflow

pytestmark = pytest.mark.database

Register = Callable[..., Person]
PAGES = "/pluginsv2/market"


def opened(server: Airflow, token: str = "", place: str = "/") -> requests.Response:
    cookies = {"_token": token} if token else {}
    return requests.get(server.url + place, cookies=cookies, allow_redirects=False, timeout=30)


@pytest.mark.parametrize("token", ["", "x.y.z"])
def test_a_stranger_at_the_base_address_is_told_what_this_is(api_server: Airflow, token: str) -> None:
    answer = opened(api_server, token)
    assert (answer.status_code, answer.headers["location"]) == (303, f"{PAGES}/welcome/")
    assert answer.headers["cache-control"] == "no-store"
    welcome = opened(api_server, token, answer.headers["location"])
    assert welcome.status_code == 200
    for words in ("Run Spark programs", "Price now", "Free now", "Register", "Log in", "15.00"):
        assert words in welcome.text


def test_what_is_free_is_what_lent_machines_have(api_server: Airflow, register: Register) -> None:
    lender = register("lends")
    assert "of 0 cores" in opened(api_server, place=f"{PAGES}/welcome/").text
    machine_id = secrets.token_hex(16)
    with sql(api_server) as cursor:
        cursor.execute(
            "INSERT INTO machine (machine_id, user_id, machine_type, display_name, ip_address, service_port,"
            " core_count, memory_mib, time_period_s, state, created_ms, lease_end_ms)"
            " VALUES (%s, %s, 'cpu', 'lent', '127.0.0.1', 45123, 3, 4096, 3600, 'active', 1, 2)",
            [machine_id, lender.user_id],
        )
    try:
        assert "of 3 cores" in opened(api_server, place=f"{PAGES}/welcome/").text
    finally:
        with sql(api_server) as cursor:
            cursor.execute("DELETE FROM machine WHERE machine_id = %s", [machine_id])


def test_who_registers_is_logged_in_and_comes_to_the_market(api_server: Airflow) -> None:
    name, form = f"new-{secrets.token_hex(4)}", f"{api_server.url}{PAGES}/register/"
    with requests.Session() as browser:
        page = browser.get(form, timeout=30).text
        token = re.search(r'name="csrf_token" value="([^"]+)"', page)
        assert token
        given = {"username": name, "email": f"{name}@example.org", "password": secrets.token_hex(8)}
        made = browser.post(form, data=given | {"csrf_token": token[1]}, allow_redirects=False, timeout=30)
        assert (made.status_code, made.headers["location"]) == (303, "/")
        assert "HttpOnly" in made.headers["set-cookie"]
        home = browser.get(f"{api_server.url}/", allow_redirects=False, timeout=30)
        assert (home.status_code, home.headers["location"]) == (303, "/plugin/market")
        market = browser.get(f"{api_server.url}{PAGES}/", timeout=30).text
        bar = re.sub(r"<[^>]+>|\s+", " ", market[market.index('class="account"') : market.index("<main")])
        for words in ("15.00", "credits available", name, "Log out"):
            assert words in bar
        assert f"Welcome, {name}" in market
        left = browser.get(f"{api_server.url}/auth/logout", timeout=30)
        assert "Run Spark programs" in left.text
        assert browser.get(f"{api_server.url}{PAGES}/", timeout=30).status_code == 401


def test_an_administrator_begins_at_airflow_s_own_page(api_server: Airflow, admin: Person) -> None:
    answer = opened(api_server, admin.token)
    assert (answer.status_code, '<div id="root"' in answer.text) == (200, True)


def test_files_with_their_version_are_kept_and_others_asked_for(
    api_server: Airflow, register: Register
) -> None:
    plugins = register("looks").ask("GET", f"{api_server.url}/api/v2/plugins").json()["plugins"]
    views = next(one for one in plugins if one["name"] == "market")["external_views"]
    icons = [view[kind] for view in views for kind in ("icon", "icon_dark_mode")]
    assert len(icons) >= 8
    for icon in icons:
        assert "max-age=86400" in opened(api_server, place=icon).headers["cache-control"]
        assert opened(api_server, place=icon.partition("?")[0]).headers["cache-control"] == "no-cache"
