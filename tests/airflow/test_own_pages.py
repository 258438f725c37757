"""The pages Projects, Tokens and Notifications at a real api-server: what they show, what their forms do."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterator

import pytest
import requests
from airflow_accounts import Person, make_token, sql
from airflow_server import Airflow
from ledger_world import SPEC

from market.kit.clock import now_ms

pytestmark = pytest.mark.database

Register = Callable[..., Person]


class Browser:
    """Somebody's browser without scripts."""

    def __init__(self, person: Person, session: requests.Session) -> None:
        session.cookies.set("_token", person.token)
        self._session, self._root = session, f"{person.server.url}/pluginsv2/market/"

    def see(self, page: str) -> str:
        answer = self._session.get(self._root + page, timeout=60)
        assert answer.status_code == 200, answer.text
        return answer.text

    def send(self, page: str, action: str, **fields: object) -> requests.Response:
        """Open a page, and send a form of it."""
        token = re.search(r'name="csrf_token" value="([^"]+)"', self.see(page))
        assert token
        return self._session.post(self._root + action, data={"csrf_token": token[1], **fields}, timeout=60)


@pytest.fixture
def person(register: Register) -> Person:
    return register("pages")


@pytest.fixture
def browser(person: Person) -> Iterator[Browser]:
    with requests.Session() as session:
        yield Browser(person, session)


def test_a_token_is_made_shown_once_used_and_revoked(
    api_server: Airflow, person: Person, browser: Browser
) -> None:
    assert "You have no token" in browser.see("tokens/")
    made = browser.send("tokens/", "tokens/", name="nightly", scopes=["read", "project"], days="30")
    token = re.search(r"dmt_[\w-]+", made.text)
    assert (made.status_code, made.headers["Cache-Control"]) == (200, "no-store")
    assert token
    headers = {"Authorization": f"Bearer {token[0]}"}
    for path in ("/jobs", "/projects"):
        assert requests.get(f"{api_server.market}{path}", headers=headers, timeout=30).status_code == 200
    [kept] = person.ask("GET", "/users/me/tokens").json()["tokens"]
    assert kept["expires_time"] - kept["created_time"] == 30 * 24 * 3600 * 1000
    shown = browser.see("tokens/")
    assert token[0] not in shown
    assert all(words in shown for words in ("nightly", "project, read"))
    revoked = browser.send("tokens/", f"tokens/{kept['token_id']}/revoke")
    assert "The token is revoked" in revoked.text
    assert person.ask("GET", "/users/me/tokens").json()["total"] == 0


def test_what_is_wrong_with_a_token_is_said_at_its_field(person: Person, browser: Browser) -> None:
    for fields, words in (
        ({"name": "", "scopes": ["read"], "days": "3"}, "name-error"),
        ({"name": "x", "days": "3"}, "scopes-error"),
        ({"name": "x", "scopes": ["admin"], "days": "3"}, "scopes-error"),
        ({"name": "x", "scopes": ["read"], "days": "0"}, "days-error"),
        ({"name": "x", "scopes": ["read"], "days": "9" * 30}, "days-error"),
    ):
        answer = browser.send("tokens/", "tokens/", **fields)
        assert (answer.status_code, words in answer.text) == (422, True), (fields, answer.text)
    make_token(person, "read", name="<b>taken</b>")
    twice = browser.send("tokens/", "tokens/", name="<b>taken</b>", scopes=["lend"], days="3")
    assert (twice.status_code, "You have a token called" in twice.text) == (409, True)
    assert "<b>taken" not in twice.text


def test_nobody_revokes_another_s_token(person: Person, browser: Browser, register: Register) -> None:
    other = register("other")
    make_token(other, "read")
    [token] = other.ask("GET", "/users/me/tokens").json()["tokens"]
    assert browser.send("tokens/", f"tokens/{token['token_id']}/revoke").status_code == 404
    assert other.ask("GET", "/users/me/tokens").json()["total"] == 1


def test_events_are_chosen_by_channel(person: Person, browser: Browser) -> None:
    kept = browser.send("notifications/", "notifications/mail", job_failed="mail", budget="digest", cap="")
    assert "Your choice is kept" in kept.text
    chosen = person.ask("GET", "/users/me/notifications").json()
    assert (chosen["mail"], chosen["digest"]) == (["job_failed"], ["budget"])
    shown = browser.see("notifications/")
    assert re.search(r'name="job_failed" value="mail"[^>]* checked', shown)
    assert re.search(r'name="cap" value=""[^>]* checked', shown)


def test_a_webhook_is_added_with_its_secret_once_and_deleted(person: Person, browser: Browser) -> None:
    refused = browser.send(
        "notifications/", "notifications/webhooks", url="https://127.0.0.1/x", kinds=["grant"]
    )
    assert (refused.status_code, "url-error" in refused.text) == (422, True)
    hook = "https://hooks.example.org/market"
    made = browser.send("notifications/", "notifications/webhooks", url=hook, kinds=["grant", "cap"])
    secret = re.search(r"whsec_[\w+/=]+", made.text)
    assert secret, made.text
    [webhook] = person.ask("GET", "/users/me/webhooks").json()["webhooks"]
    assert (webhook["url"], set(webhook["kinds"])) == (hook, {"grant", "cap"})
    assert secret[0] not in browser.see("notifications/")
    gone = browser.send("notifications/", f"notifications/webhooks/{webhook['webhook_id']}/delete")
    assert "The webhook is deleted" in gone.text
    assert person.ask("GET", "/users/me/webhooks").json()["total"] == 0


def test_the_latest_events_are_there_and_nobody_else_s(
    api_server: Airflow, person: Person, browser: Browser, register: Register
) -> None:
    other = register("other")
    assert "Nothing has happened yet" in browser.see("notifications/")
    words = secrets.token_hex(6)
    with sql(api_server) as cursor:
        for whose, reason in ((person, f"<i>{words}"), (other, "not yours")):
            cursor.execute(
                "INSERT INTO event (event_id, position, at_ms, kind, user_id, data)"
                " VALUES (%s, nextval('event_position'), 1, 'grant', %s, jsonb_build_object("
                "'amount', '2', 'reason', %s::text))",
                [secrets.token_hex(16), whose.user_id, reason],
            )
    shown = browser.see("notifications/")
    assert f"You were given 2 credits: &lt;i&gt;{words}" in shown
    assert "not yours" not in shown


def project_of(person: Person, **changed: str) -> str:
    body = {"name": f"p{secrets.token_hex(4)}", "budget": "10", "end": now_ms() + 10**9} | changed
    made = person.ask("POST", "/projects", json=body)
    assert made.status_code == 201, made.text
    return str(made.json()["project_id"])


def test_a_project_is_made_and_what_is_wrong_is_said_at_its_field(person: Person, browser: Browser) -> None:
    assert "You are in no project" in browser.see("projects/")
    good = {"name": f"lab{secrets.token_hex(4)}", "budget": "20", "end": "2090-01-31", "title": "<b>Lab</b>"}
    for changed in (
        {"name": "Lab"},
        {"budget": "-1"},
        {"budget": ""},
        {"end": "soon"},
        {"end": "2001-01-01"},
    ):
        refused = browser.send("projects/", "projects/", **good | changed)
        assert (refused.status_code, f"{next(iter(changed))}-error" in refused.text) == (422, True), changed
    made = browser.send("projects/", "projects/", **good)
    assert "The project is made" in made.text
    assert "&lt;b&gt;Lab" in made.text
    [project] = person.ask("GET", "/projects").json()["projects"]
    assert (project["name"], project["end"]) == (good["name"], 3_789_504_000_000)
    twice = browser.send("projects/", "projects/", **good)
    assert (twice.status_code, "There is a project" in twice.text) == (409, True)
    below = browser.send(
        "projects/", "projects/", **good | {"name": f"{good['name']}2", "parent_id": project["project_id"]}
    )
    assert "The project is made" in below.text
    assert good["name"] in browser.see("projects/")


def test_members_get_roles_and_caps_and_leave(person: Person, browser: Browser, register: Register) -> None:
    project, other = project_of(person), register("joins")
    here = f"projects/{project}"
    joined = browser.send(here, f"{here}/members", username=other.username, role="manager", month_cap="3")
    assert f"{other.username} has the role" in joined.text
    [found] = [
        row
        for row in person.ask("GET", f"/projects/{project}/members").json()["members"]
        if row["username"] == other.username
    ]
    assert (found["role"], found["month_cap"]) == ("manager", "3.000000")
    refused = browser.send(here, f"{here}/members", username=other.username, role="king")
    assert (refused.status_code, "role-error" in refused.text) == (422, True)
    nobody = browser.send(here, f"{here}/members", username="nobody-at-all", role="member")
    assert (nobody.status_code, "There is no such user" in nobody.text) == (404, True)
    with requests.Session() as session:
        manager = Browser(other, session)
        assert 'value="owner"' not in manager.see(here)
        promoted = manager.send(here, f"{here}/members", username=other.username, role="owner")
        assert (promoted.status_code, "needs the role owner" in promoted.text) == (403, True)
        left = manager.send(here, f"{here}/members/{other.username}/remove")
        assert "You have left the project" in left.text
        outside = session.get(f"{person.server.url}/pluginsv2/market/{here}", timeout=60)
        assert (outside.status_code, "There is no such project" in outside.text) == (404, True)


def test_what_is_no_project_s_id_is_not_there(person: Person, browser: Browser) -> None:
    for odd in ("digits", "f" * 32, "%00"):
        answer = browser.send("projects/", f"projects/{odd}/members", username="x", role="member")
        assert (answer.status_code, "There is no such project" in answer.text) == (404, True), odd


def test_credits_are_transferred_and_the_budget_is_changed(person: Person, browser: Browser) -> None:
    project = project_of(person)
    here = f"projects/{project}"
    paid = browser.send(here, f"{here}/transfers", payee_id="", amount="4", reason="for trees")
    assert "The credits are transferred" in paid.text
    too_much = browser.send(here, f"{here}/transfers", payee_id="", amount="400", reason="for trees")
    assert (too_much.status_code, "are available" in too_much.text) == (402, True)
    back = browser.send(here, f"{here}/transfers", payee_id=person.user_id, amount="1", reason="too many")
    assert "The credits are transferred" in back.text
    assert person.ask("GET", f"/projects/{project}").json()["balance"] == "3.000000"
    unsaid = browser.send(here, f"{here}/transfers", payee_id="", amount="x", reason="")
    assert all(f"{name}-error" in unsaid.text for name in ("amount", "reason"))
    changed = browser.send(here, f"{here}/budget", title="Trees", budget="12", end="")
    assert "The project is changed" in changed.text
    shown = person.ask("GET", f"/projects/{project}").json()
    assert (shown["title"], shown["budget"]) == ("Trees", "12.000000")


def test_jobs_that_it_pays_are_shown_to_who_manages_it_and_cancelled_with_a_reason(
    api_server: Airflow, person: Person, browser: Browser, register: Register
) -> None:
    project, other, viewer = project_of(person), register("submits"), register("views")
    here, job = f"projects/{project}", secrets.token_hex(16)
    for one, role in ((other, "member"), (viewer, "viewer")):
        browser.send(here, f"{here}/members", username=one.username, role=role)
    browser.send(here, f"{here}/transfers", payee_id="", amount="10", reason="all of it")
    with sql(api_server) as cursor:
        cursor.execute(
            "INSERT INTO job (job_id, user_id, job_name, spec, machine_type, core_num, rate_micro,"
            " weight_micro, gib_weight_micro, status, added_ms, project_id)"
            " VALUES (%s, %s, 'trees', %s, 'cpu', 1, 1000000, 1000000, 4000, 'submitted', now_ms(), %s)",
            [job, other.user_id, SPEC, project],
        )
        cursor.execute("INSERT INTO job_point (job_id, point, params) VALUES (%s, 0, '{}')", [job])
        cursor.execute(
            "INSERT INTO run (job_id, point, attempt, tag, status, since_ms)"
            " VALUES (%s, 0, 1, %s, 'queued', now_ms())",
            [job, job],
        )
        cursor.execute("SELECT take_hold(%s, %s, 9000000, 1000000, now_ms() + 1000000)", [job, project])
    shown = browser.see(here)
    assert all(words in shown for words in ("trees", other.username, "90.0 % of the budget"))
    silent = browser.send(here, f"{here}/jobs/{job}/cancel")
    assert (silent.status_code, "its owner reads it" in silent.text) == (422, True)
    done = browser.send(here, f"{here}/jobs/{job}/cancel", reason="too wide")
    assert "Its owner is told why" in done.text
    told = other.ask("GET", f"/jobs/{job}").json()
    assert told["reason"].startswith(f"cancelled by {person.username}, who manages the project")
    with requests.Session() as session:
        page = Browser(viewer, session).see(here)
        assert ("Jobs that it pays" in page, "Take somebody in" in page) == (False, False)
